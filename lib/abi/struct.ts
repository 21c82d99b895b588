/**
 * Structure layout as a C compiler does it: members in order, each at the next multiple of its alignment; the
 * structure as aligned as its strictest member and padded to a multiple of that.
 *
 * A structure is declared once, as a list of C members; each ABI's sizes and alignments make its table of offsets.
 * Bit fields are left out: none of the structures has them.
 */
import { ABI_CONSTANTS, type AbiName } from './abis';

/** Integer types; those of the last line are as wide as the ABI makes them. */
export type ScalarName =
  | 'uint8'
  | 'int8'
  | 'char'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'uint64'
  | 'xen_ulong'
  | 'xen_pfn'
  | 'unsigned_long'
  | 'guest_handle';

/** A declared member: a scalar, an array of scalars or structures, a nested structure, or a union. */
export type Member =
  | ScalarName
  | {
      readonly type: ScalarName | `struct ${string}`;
      /** Elements of an array; absent (for the ABI): a single one. */
      readonly count?: number | Readonly<Partial<Record<AbiName, number>>>;
      /** The ABIs that have the member; absent: all. */
      readonly only?: readonly AbiName[];
    }
  | { readonly union: Members }
  | { readonly struct: Members }
  /** A union whose members are not told apart: as large and as aligned as the scalar. */
  | { readonly opaque: ScalarName }
  /** A flexible array at the end; says what its elements are. */
  | { readonly flexible: string };

/** Members by name, in the order of the C declaration. */
export type Members = { readonly [name: string]: Member };

/** Where a member lies. Offsets and sizes in bytes. */
export interface FieldLayout {
  /** From the start of the outermost structure. */
  readonly offset: number;
  /** Of the whole array, if it is one. */
  readonly size: number;
  /** uint8, int8, char, uint16, int16, uint32, int32, uint64, guest_handle, union or `struct <name>`: an element's type. */
  readonly type: string;
  /** Elements and the distance between them; present on arrays. */
  readonly count?: number;
  readonly stride?: number;
  /** A flexible array: size is 0, the elements follow the structure. */
  readonly flexible?: true;
  /** The nested structure's own table, where type is `struct <name>`. */
  readonly layout?: StructLayout;
}

/** A structure's table. Members of unnamed nested structures and unions have dotted names. */
export interface StructLayout {
  readonly name: string;
  readonly size: number;
  readonly align: number;
  readonly fields: Readonly<Record<string, FieldLayout>>;
}

interface Extent {
  readonly size: number;
  readonly align: number;
}

/** Members with their offsets from the start of the structure or union that holds them. */
interface Arrangement extends Extent {
  readonly placed: readonly { readonly name: string; readonly member: Member; readonly offset: number }[];
}

const FIXED_SIZES = { uint8: 1, int8: 1, char: 1, uint16: 2, int16: 2, uint32: 4, int32: 4, uint64: 8 } as const;

function scalarSize(abi: AbiName, type: ScalarName): number {
  const constants = ABI_CONSTANTS[abi];
  if (type === 'xen_ulong') return constants.sizeof_xen_ulong_t;
  if (type === 'xen_pfn') return constants.sizeof_xen_pfn_t;
  if (type === 'unsigned_long') return constants.sizeof_unsigned_long;
  if (type === 'guest_handle') return constants.sizeof_guest_handle_in_struct;
  return FIXED_SIZES[type];
}

/** What the tables call a scalar: a word of the ABI's own width becomes a plain integer of that width. */
function tableType(type: ScalarName, size: number): string {
  return type === 'xen_ulong' || type === 'xen_pfn' || type === 'unsigned_long' ? `uint${size * 8}` : type;
}

function alignUp(offset: number, align: number): number {
  return Math.ceil(offset / align) * align;
}

/** Lays out structures of one ABI; knows the structures that members may name. */
class Compiler {
  constructor(
    private readonly abi: AbiName,
    private readonly nested: Readonly<Record<string, StructLayout>>,
  ) {}

  compile(name: string, members: Members): StructLayout {
    const arrangement = this.arrange(members, false);
    const fields: Record<string, FieldLayout> = {};
    this.enter(fields, '', 0, arrangement);
    return { name, size: arrangement.size, align: arrangement.align, fields };
  }

  private arrange(members: Members, union: boolean): Arrangement {
    const placed: { name: string; member: Member; offset: number }[] = [];
    let end = 0;
    let strictest = 1;
    for (const [name, member] of Object.entries(members)) {
      if (typeof member === 'object' && 'only' in member && !member.only?.includes(this.abi)) continue;
      const { size, align } = this.extent(member);
      const offset = union ? 0 : alignUp(end, align);
      placed.push({ name, member, offset });
      end = Math.max(end, offset + size);
      strictest = Math.max(strictest, align);
    }
    return { size: alignUp(end, strictest), align: strictest, placed };
  }

  private extent(member: Member): Extent {
    if (typeof member === 'string') return this.scalar(member);
    if ('union' in member) return this.arrange(member.union, true);
    if ('struct' in member) return this.arrange(member.struct, false);
    if ('opaque' in member) return this.scalar(member.opaque);
    if ('flexible' in member) return { size: 0, align: 1 };
    const { size, align } = this.struct(member.type) ?? this.scalar(member.type as ScalarName);
    return { size: size * (this.count(member.count) ?? 1), align };
  }

  private scalar(type: ScalarName): Extent {
    const size = scalarSize(this.abi, type);
    return { size, align: Math.min(size, ABI_CONSTANTS[this.abi].alignof_uint64_t_in_struct) };
  }

  private struct(type: string): StructLayout | undefined {
    if (!type.startsWith('struct ')) return undefined;
    const layout = this.nested[type.slice('struct '.length)];
    if (layout === undefined) throw new Error(`${type} has to be declared before its use`);
    return layout;
  }

  private count(count: number | Readonly<Partial<Record<AbiName, number>>> | undefined): number | undefined {
    return typeof count === 'object' ? count[this.abi] : count;
  }

  private enter(fields: Record<string, FieldLayout>, prefix: string, base: number, { placed }: Arrangement): void {
    for (const { name, member, offset } of placed) {
      const path = prefix + name;
      if (typeof member === 'object' && 'struct' in member) {
        this.enter(fields, `${path}.`, base + offset, this.arrange(member.struct, false));
        continue;
      }
      fields[path] = this.field(base + offset, member);
      if (typeof member === 'object' && 'union' in member) {
        this.enter(fields, `${path}.`, base + offset, this.arrange(member.union, true));
      }
    }
  }

  private field(offset: number, member: Member): FieldLayout {
    const { size } = this.extent(member);
    if (typeof member === 'string') return { offset, size, type: tableType(member, size) };
    if ('flexible' in member) return { offset, size, type: member.flexible, flexible: true };
    if (!('type' in member)) return { offset, size, type: 'union' };
    const count = this.count(member.count);
    const stride = count === undefined ? size : size / count;
    const layout = this.struct(member.type);
    return {
      offset,
      size,
      type: layout ? member.type : tableType(member.type as ScalarName, stride),
      ...(count !== undefined && { count, stride }),
      ...(layout && { layout }),
    };
  }
}

/**
 * The table of one structure.
 * @param nested - tables of the structures its members name as `struct <name>`
 * @throws Error if a member names a structure that is not among `nested`
 */
export function structLayout(
  abi: AbiName,
  name: string,
  members: Members,
  nested: Readonly<Record<string, StructLayout>> = {},
): StructLayout {
  return new Compiler(abi, nested).compile(name, members);
}
