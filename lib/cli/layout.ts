/**
 * `upcall layout [abi] [struct]`: offsets and sizes of the structures a guest shares with the hypervisor.
 */
import type { Command } from 'commander';
import {
  ABI_CONSTANTS,
  ABI_NAMES,
  type AbiName,
  FIFO,
  FIFO_MASKS,
  type FieldLayout,
  isAbiName,
  layoutsOf,
  type StructLayout,
} from '../abi';
import { alignColumns } from './table';
import { fitTo, painter } from './terminal';
import { UsageError } from './usage-error';

function chosenAbis(abi: string | undefined): readonly AbiName[] {
  if (abi === undefined) return ABI_NAMES;
  if (isAbiName(abi)) return [abi];
  throw new UsageError(`unknown ABI ${abi}; choose one of ${ABI_NAMES.join(', ')}`);
}

/** The name under which the words of a FIFO event array are listed. They are no structure of Xen's: words with named bits. */
const EVENT_ARRAY = 'event_array';

function chosenLayouts(abi: AbiName, struct: string | undefined): readonly StructLayout[] {
  const layouts = layoutsOf(abi);
  if (struct === undefined) return Object.values(layouts);
  const layout = Object.hasOwn(layouts, struct) ? layouts[struct] : undefined;
  if (layout !== undefined) return [layout];
  throw new UsageError(
    `${abi} has no struct ${struct}; choose one of ${Object.keys(layouts).join(', ')}, ${EVENT_ARRAY}`,
  );
}

/** A field as the JSON form has it: without the nested table, and without a size where it has none of its own. */
function plainField({ layout: _layout, size, ...field }: FieldLayout): object {
  return field.flexible ? field : { ...field, size };
}

function plainStruct({ size, align, fields }: StructLayout): object {
  const plainFields = Object.entries(fields).map(([name, field]) => [name, plainField(field)]);
  return { size, align, fields: Object.fromEntries(plainFields) };
}

/** By ABI: its constants (with all structures only) and its structures by name. */
function asJson(abis: readonly AbiName[], struct: string | undefined): object {
  const perAbi = abis.map((abi) => {
    const structs = chosenLayouts(abi, struct).map((layout) => [layout.name, plainStruct(layout)]);
    const constants = struct === undefined ? { constants: ABI_CONSTANTS[abi] } : {};
    return [abi, { ...constants, ...Object.fromEntries(structs) }];
  });
  return Object.fromEntries(perAbi);
}

function typeOf({ type, count, flexible }: FieldLayout): string {
  if (flexible) return `${type}[]`;
  return count === undefined ? type : `${type}[${count}]`;
}

function structTable(abi: AbiName, layout: StructLayout): string[] {
  const rows = Object.entries(layout.fields).map(([name, field]) => [
    `0x${field.offset.toString(16)}`,
    String(field.offset),
    field.flexible ? '' : String(field.size),
    typeOf(field),
    name,
  ]);
  const paint = painter(process.stdout);
  const title = `${abi} ${layout.name}: ${layout.size} bytes, aligned to ${layout.align}`;
  const [header = '', ...lines] = alignColumns(
    [['offset', '', 'size', 'type', 'field'], ...rows],
    new Set([0, 1, 2]),
  ).map((line) => fitTo(process.stdout, line));
  return [
    paint('bold', fitTo(process.stdout, title)),
    ...(lines.length > 0 ? [paint('dim', header), ...lines] : []),
    '',
  ];
}

/** `31`, `16..0`: the bits of a mask without gaps. */
function bitRange(mask: number): string {
  const high = 31 - Math.clz32(mask);
  const low = 31 - Math.clz32(mask & -mask);
  return high === low ? String(high) : `${high}..${low}`;
}

/** The parts of an event word, under the names that traces have for them. */
function eventArrayTable(abi: AbiName): string[] {
  const parts = Object.entries(FIFO_MASKS).map(([name, mask]) => [bitRange(mask), `${EVENT_ARRAY}[port].${name}`]);
  const paint = painter(process.stdout);
  const pages = `up to ${FIFO.EVTCHN_FIFO_NR_CHANNELS / 1024} pages of 1024 words`;
  const title = `${abi} ${EVENT_ARRAY}: a 32-bit word per port, ${pages}`;
  const table = alignColumns([['bits', 'part'], ...parts], new Set([0]));
  const [header = '', ...lines] = table.map((line) => fitTo(process.stdout, line));
  return [paint('bold', fitTo(process.stdout, title)), paint('dim', header), ...lines, ''];
}

/** The same for programs: the bits of each part as a mask. */
function eventArrayJson(abis: readonly AbiName[]): object {
  return Object.fromEntries(abis.map((abi) => [abi, { [EVENT_ARRAY]: { size: 4, align: 4, bits: FIFO_MASKS } }]));
}

/** Every structure with its size in each ABI. */
function overview(): string[] {
  const names = Object.keys(layoutsOf('x86_64'));
  const rows = names.map((name) => [name, ...ABI_NAMES.map((abi) => String(layoutsOf(abi)[name]?.size ?? '-'))]);
  const table = alignColumns([['bytes', ...ABI_NAMES], ...rows], new Set([1, 2, 3, 4]));
  const [header = '', ...lines] = table.map((line) => fitTo(process.stdout, line));
  return [painter(process.stdout)('dim', header), ...lines, '', 'Offsets: upcall layout <abi> [struct]'];
}

function tables(abi: AbiName, struct: string | undefined): string[] {
  if (struct === EVENT_ARRAY) return eventArrayTable(abi);
  const structs = chosenLayouts(abi, struct).flatMap((layout) => structTable(abi, layout));
  return struct === undefined ? [...structs, ...eventArrayTable(abi)] : structs;
}

/** Adds the command. */
export function registerLayout(program: Command): void {
  program
    .command('layout')
    .description("offsets and sizes of Xen's shared structures")
    .argument('[abi]', ABI_NAMES.join(', '))
    .argument('[struct]', 'such as shared_info; event_array: the event words of the FIFO ABI')
    .option('--json', 'one JSON object: ABI, structure, fields')
    .action((abi: string | undefined, struct: string | undefined, { json }: { json?: boolean }) => {
      const abis = chosenAbis(abi);
      if (json) {
        const object = struct === EVENT_ARRAY ? eventArrayJson(abis) : asJson(abis, struct);
        process.stdout.write(`${JSON.stringify(object, null, 2)}\n`);
        return;
      }
      const lines = abi === undefined ? overview() : abis.flatMap((each) => tables(each, struct));
      process.stdout.write(`${lines.join('\n').trimEnd()}\n`);
    });
}
