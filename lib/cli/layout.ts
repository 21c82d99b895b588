/**
 * `upcall layout [abi] [struct]`: offsets and sizes of the structures a guest shares with the hypervisor.
 */
import type { Command } from 'commander';
import {
  ABI_CONSTANTS,
  ABI_NAMES,
  type AbiName,
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

function chosenLayouts(abi: AbiName, struct: string | undefined): readonly StructLayout[] {
  const layouts = layoutsOf(abi);
  if (struct === undefined) return Object.values(layouts);
  const layout = Object.hasOwn(layouts, struct) ? layouts[struct] : undefined;
  if (layout !== undefined) return [layout];
  throw new UsageError(`${abi} has no struct ${struct}; choose one of ${Object.keys(layouts).join(', ')}`);
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

/** Every structure with its size in each ABI. */
function overview(): string[] {
  const names = Object.keys(layoutsOf('x86_64'));
  const rows = names.map((name) => [name, ...ABI_NAMES.map((abi) => String(layoutsOf(abi)[name]?.size ?? '-'))]);
  const table = alignColumns([['bytes', ...ABI_NAMES], ...rows], new Set([1, 2, 3, 4]));
  const [header = '', ...lines] = table.map((line) => fitTo(process.stdout, line));
  return [painter(process.stdout)('dim', header), ...lines, '', 'Offsets: upcall layout <abi> [struct]'];
}

/** Adds the command. */
export function registerLayout(program: Command): void {
  program
    .command('layout')
    .description("offsets and sizes of Xen's shared structures")
    .argument('[abi]', ABI_NAMES.join(', '))
    .argument('[struct]', 'such as shared_info')
    .option('--json', 'one JSON object: ABI, structure, fields')
    .action((abi: string | undefined, struct: string | undefined, { json }: { json?: boolean }) => {
      const abis = chosenAbis(abi);
      if (json) {
        process.stdout.write(`${JSON.stringify(asJson(abis, struct), null, 2)}\n`);
        return;
      }
      const lines =
        abi === undefined
          ? overview()
          : abis.flatMap((each) => chosenLayouts(each, struct).flatMap((layout) => structTable(each, layout)));
      process.stdout.write(`${lines.join('\n').trimEnd()}\n`);
    });
}
