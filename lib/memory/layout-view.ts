/**
 * Views of structures in shared memory, made from the layout tables: an object with a field object for each member,
 * under the member's own name.
 *
 * The table decides at run time where a field lies and how wide it is; the declaration it was made from gives
 * the static type, the same for every ABI. A member that some ABIs lack is optional in the type.
 */
import type { FieldLayout, Members, ScalarName, STRUCTS, StructLayout, StructName } from '../abi';
import {
  ArrayField,
  ByteField,
  BytesField,
  HalfField,
  type LongField,
  SignedByteField,
  Word32,
  Word64,
  WordArray,
} from './fields';
import type { Memory } from './memory';

interface ScalarFields {
  uint8: ByteField;
  int8: SignedByteField;
  char: ByteField;
  uint16: HalfField;
  int16: HalfField;
  uint32: Word32;
  int32: Word32;
  uint64: Word64;
  xen_ulong: LongField;
  xen_pfn: LongField;
  unsigned_long: LongField;
  guest_handle: LongField;
}

type ArrayOf<T extends ScalarName> = ScalarFields[T] extends LongField ? WordArray<ScalarFields[T]> : BytesField;

type FieldOf<M> = M extends ScalarName
  ? ScalarFields[M]
  : M extends { readonly union: infer U } | { readonly struct: infer U }
    ? Place & FieldsOf<U>
    : M extends { readonly opaque: ScalarName }
      ? LongField
      : M extends { readonly flexible: string }
        ? Place
        : M extends { readonly type: infer T; readonly count: unknown }
          ? T extends ScalarName
            ? ArrayOf<T>
            : ArrayField<NestedView<T>>
          : M extends { readonly type: infer T }
            ? T extends ScalarName
              ? ScalarFields[T]
              : NestedView<T>
            : never;

type NestedView<T> = T extends `struct ${infer N extends StructName}` ? ViewOf<N> : never;

type OptionalNames<S> = { [K in keyof S]: S[K] extends { readonly only: unknown } ? K : never }[keyof S];

type FieldsOf<S> = { readonly [K in keyof S as Exclude<K, OptionalNames<S>>]: FieldOf<S[K]> } & {
  readonly [K in keyof S as Extract<K, OptionalNames<S>>]?: FieldOf<S[K]>;
};

interface Place {
  readonly address: number;
}

/**
 * Second names by which a view offers a field in every ABI, whatever the ABI calls it:
 * - `xen_wc_sec_hi`, as in Xen's header: on x86_32 that word lies in `arch`.
 * - `evtchn_upcall_mask` on Arm, where it is padding: a flag of the processor disables upcalls. A vCPU's own view has
 *   that flag in its place.
 */
interface Aliases {
  readonly vcpu_info: { readonly evtchn_upcall_mask: ByteField };
  readonly shared_info: { readonly xen_wc_sec_hi: Word32 };
}

const ALIASES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  vcpu_info: { evtchn_upcall_mask: ['pad0'] },
  shared_info: { xen_wc_sec_hi: ['wc_sec_hi', 'arch.wc_sec_hi'] },
};

/** A view of structure `N`: its fields, `address`, and its table as `layout`. */
export type ViewOf<N extends StructName> = StructView &
  FieldsOf<(typeof STRUCTS)[N]> &
  (N extends keyof Aliases ? Aliases[N] : unknown);

/** A view of a structure declared elsewhere. */
export type ViewOfMembers<M extends Members> = StructView & FieldsOf<M>;

function element(memory: Memory, address: number, field: FieldLayout, size: number): unknown {
  if (field.layout !== undefined) return new StructView(memory, address, field.layout);
  if (field.type === 'int8') return new SignedByteField(memory, address);
  switch (size) {
    case 1:
      return new ByteField(memory, address);
    case 2:
      return new HalfField(memory, address);
    case 4:
      return new Word32(memory, address);
    default:
      return new Word64(memory, address);
  }
}

function fieldView(memory: Memory, address: number, field: FieldLayout): unknown {
  if (field.flexible) return { address };
  if (field.count === undefined || field.stride === undefined) return element(memory, address, field, field.size);
  const { count, stride, layout } = field;
  if (stride < 4) return new BytesField(memory, address, count);
  const elements = Array.from({ length: count }, (_, i) => element(memory, address + i * stride, field, stride));
  return layout ? new ArrayField(address, elements) : new WordArray(address, elements as LongField[]);
}

type Holder = { [name: string]: unknown };

/** The object to which the last part of a dotted name belongs; made if it does not exist yet. */
function holderOf(view: object, parents: readonly string[], address: number): Holder {
  let holder = view as Holder;
  for (const name of parents) {
    holder[name] ??= { address };
    holder = holder[name] as Holder;
  }
  return holder;
}

/** The base of every view. Immutable; the fields are properties of their own. */
export class StructView {
  /** @throws RangeError if the structure does not lie in memory, or is misaligned by less than a word */
  constructor(
    memory: Memory,
    readonly address: number,
    readonly layout: StructLayout,
  ) {
    if (address % Math.min(layout.align, 4) !== 0 || !memory.contains(address, layout.size)) {
      throw new RangeError(`no place for ${layout.name} at address ${address}`);
    }
    const { fields } = layout;
    for (const [path, field] of Object.entries(fields)) {
      const parents = path.split('.');
      const name = parents.pop() as string;
      const holder = holderOf(this, parents, address + field.offset);
      const isGroup = field.type === 'union' && Object.keys(fields).some((other) => other.startsWith(`${path}.`));
      holder[name] = isGroup ? { address: address + field.offset } : fieldView(memory, address + field.offset, field);
    }
    this.addAliases();
  }

  private addAliases(): void {
    for (const [alias, paths] of Object.entries(ALIASES[this.layout.name] ?? {})) {
      for (const path of paths) {
        const field = path.split('.').reduce<unknown>((holder, name) => (holder as Holder | undefined)?.[name], this);
        if (field !== undefined) (this as unknown as Holder)[alias] ??= field;
      }
    }
  }
}

/**
 * A view of the structure at an address, by a table made elsewhere.
 * @typeParam M - the declaration the table was made from
 */
export function structView<M extends Members>(memory: Memory, address: number, layout: StructLayout): ViewOfMembers<M> {
  return new StructView(memory, address, layout) as ViewOfMembers<M>;
}
