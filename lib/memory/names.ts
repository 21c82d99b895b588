/**
 * What an address is called: `shared_info.evtchn_mask[1]`, `shared_info.vcpu_info[2].evtchn_upcall_pending`,
 * `rounds`; and what a bit there means: `shared_info.evtchn_pending[0] port 5`. And back, from name to address.
 *
 * A region is described by a list of {@link NamedRange}s, each a structure table or a plain size at an address;
 * where two overlap the earlier one names. For people who read traces: not for hot paths.
 */
import { ABI_CONSTANTS, type AbiName, FIFO_MASKS, type FieldLayout, layoutOf, type StructLayout } from '../abi';

/**
 * What the bits of a field stand for: `port`: bit i of the field is port i; `port word`: bit i is element i of the port
 * bitmaps; `queue`: bit i is queue i of a FIFO control block; `event word`: those of a FIFO event word; else the bits' own
 * names by number.
 */
export type BitMeaning = 'port' | 'port word' | 'queue' | 'event word' | Readonly<Record<number, string>>;

/** Something with a name at an address. */
export interface NamedRange {
  readonly name: string;
  readonly address: number;
  /** Its structure; absent: `size` bytes without inner structure. */
  readonly layout?: StructLayout;
  /** Bytes of an element without layout; default 4. */
  readonly size?: number;
  /** Present: an array, its elements named `name[i]`. */
  readonly count?: number;
  /** Distance of the elements of an array; default their size. */
  readonly stride?: number;
  /** What bits mean, by path of the field without indices (`evtchn_mask`, `arch.cr2`), `''` for the range itself. */
  readonly bits?: Readonly<Record<string, BitMeaning>>;
}

/** Meanings of the bits of Xen's structures, by structure and field. */
const XEN_BITS: Readonly<Record<string, BitMeaning>> = {
  'shared_info.evtchn_pending': 'port',
  'shared_info.evtchn_mask': 'port',
  'vcpu_info.evtchn_pending_sel': 'port word',
  'evtchn_fifo_control_block.ready': 'queue',
};

/** A named place and what is needed to tell its bits. */
interface Found {
  readonly name: string;
  readonly meaning?: BitMeaning;
  /** Bit number, within the field, of bit 0 of the byte at the address. */
  readonly firstBit: number;
  /** Bits of an element of the field: of a selector, the ports of one of its bits. */
  readonly elementBits: number;
}

function hex(number: number): string {
  return `0x${number.toString(16)}`;
}

function elementSize({ size, layout }: NamedRange): number {
  return layout?.size ?? size ?? 4;
}

function extent(range: NamedRange): number {
  const size = elementSize(range);
  return range.count === undefined ? size : (range.count - 1) * (range.stride ?? size) + size;
}

/** Suffix for an offset into a scalar: `.hi` is the upper half of a 64-bit one, as in the views. */
function within(offset: number, size: number): string {
  if (offset === 0) return '';
  return offset === 4 && size === 8 ? '.hi' : `+${hex(offset)}`;
}

/** The member at an offset; of the members of a union, one that begins there. Undefined for padding. */
function memberAt(layout: StructLayout, offset: number): [string, FieldLayout] | undefined {
  const candidates = Object.entries(layout.fields).filter(
    ([path, { offset: start, size, type }]) =>
      start <= offset &&
      offset < start + size &&
      !(type === 'union' && Object.keys(layout.fields).some((other) => other.startsWith(`${path}.`))),
  );
  return candidates.find(([, field]) => field.offset === offset) ?? candidates[0];
}

function findInStruct(range: NamedRange, layout: StructLayout, prefix: string, path: string, offset: number): Found {
  const member = memberAt(layout, offset);
  if (member === undefined) return { name: `${prefix}+${hex(offset)}`, firstBit: 0, elementBits: 32 };
  const [fieldName, field] = member;
  const stride = field.stride ?? field.size;
  const inField = offset - field.offset;
  const index = Math.floor(inField / stride);
  const name = `${prefix}.${fieldName}${field.count === undefined ? '' : `[${index}]`}`;
  const fieldPath = path === '' ? fieldName : `${path}.${fieldName}`;
  if (field.layout) return findInStruct(range, field.layout, name, fieldPath, inField - index * stride);
  return {
    name: name + within(inField - index * stride, stride),
    meaning: range.bits?.[fieldPath] ?? XEN_BITS[`${layout.name}.${fieldName}`],
    firstBit: inField * 8,
    elementBits: stride * 8,
  };
}

function findInRange(range: NamedRange, address: number): Found | undefined {
  const offset = address - range.address;
  if (offset < 0 || offset >= extent(range)) return undefined;
  const size = elementSize(range);
  const stride = range.stride ?? size;
  const index = range.count === undefined ? 0 : Math.floor(offset / stride);
  const inElement = offset - index * stride;
  if (inElement >= size) return undefined;
  const name = range.count === undefined ? range.name : `${range.name}[${index}]`;
  if (range.layout) return findInStruct(range, range.layout, name, '', inElement);
  return {
    name: name + within(inElement, size),
    meaning: range.bits?.[''],
    firstBit: offset * 8,
    elementBits: stride * 8,
  };
}

/** Bits that each mean something of their own. */
type SingleBits = Exclude<BitMeaning, 'event word'>;

/** `.PENDING`, `.LINKED,LINK`: the parts of an event word that some bits belong to. */
function eventWordSuffix(mask: number): string {
  const parts = Object.entries(FIFO_MASKS).filter(([, bits]) => (mask & bits) !== 0);
  return parts.length === 0 ? '' : `.${parts.map(([name]) => name).join()}`;
}

/** ` port 5`, ` ports 64..127`, ` PENDING`: what one bit stands for, with the space before it. */
function bitSuffix({ meaning, firstBit, elementBits }: Found & { readonly meaning?: SingleBits }, bit: number): string {
  const number = firstBit + bit;
  if (meaning === undefined) return ` bit ${number % elementBits}`;
  if (meaning === 'port') return ` port ${number}`;
  if (meaning === 'queue') return ` queue ${number}`;
  if (meaning === 'port word') return ` ports ${number * elementBits}..${(number + 1) * elementBits - 1}`;
  const own = number % elementBits;
  return ` ${meaning[own] ?? `bit ${own}`}`;
}

/** The names of a region. Immutable. */
export class AddressNames {
  /** @param ranges - the first that contains an address names it */
  constructor(private readonly ranges: readonly NamedRange[]) {}

  /** The same names and further ones, which come first: a vcpu_info registered in a frame, a ring in another. */
  with(...ranges: readonly NamedRange[]): AddressNames {
    return new AddressNames([...ranges, ...this.ranges]);
  }

  /** The name of what lies at an address: `shared_info.evtchn_mask[1]`; an address in hexadecimal if nothing does. */
  nameOf(address: number): string {
    return this.find(address)?.name ?? hex(address);
  }

  /** As {@link nameOf}, with the ports of a 32-bit access to a port bitmap: `shared_info.evtchn_mask[1] ports 64..95`. */
  describe(address: number): string {
    const found = this.find(address);
    if (found?.meaning !== 'port') return found?.name ?? hex(address);
    return `${found.name} ports ${found.firstBit}..${found.firstBit + 31}`;
  }

  /**
   * Names the bits that an operation concerns: `shared_info.evtchn_pending[0] port 5`,
   * `vcpu[1].pause_flags BLOCKED`. Without bits, or with very many, as {@link describe}.
   * @param mask - bits of the byte or 32-bit word at the address
   */
  describeBits(address: number, mask: number): string {
    const found = this.find(address);
    if (found?.meaning === 'event word') return found.name + eventWordSuffix(mask);
    const bits = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (mask >>> bit) & 1);
    if (found === undefined || bits.length === 0 || bits.length > 4) return this.describe(address);
    return found.name + bits.map((bit) => bitSuffix(found, bit)).join(',');
  }

  /**
   * The address of what {@link nameOf} gave a name.
   * @returns undefined for a name that nothing has
   */
  addressOf(name: string): number | undefined {
    for (const range of this.ranges) {
      if (!name.startsWith(range.name)) continue;
      const address = addressInRange(range, name.slice(range.name.length));
      if (address !== undefined) return address;
    }
    const plain = /^0x[0-9a-f]+$/.exec(name);
    return plain === null ? undefined : Number(name);
  }

  private find(address: number): Found | undefined {
    for (const range of this.ranges) {
      const found = findInRange(range, address);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Takes `[i]` off the front; undefined if there is none or i is not below `count`. */
function takeIndex(rest: string, count: number): { readonly index: number; readonly rest: string } | undefined {
  const match = /^\[(\d+)\]/.exec(rest);
  const index = Number(match?.[1]);
  return match !== null && index < count ? { index, rest: rest.slice(match[0].length) } : undefined;
}

/** Reads what {@link within} wrote. */
function offsetWithin(rest: string, size: number): number | undefined {
  if (rest === '') return 0;
  if (rest === '.hi') return size === 8 ? 4 : undefined;
  const offset = /^\+0x[0-9a-f]+$/.test(rest) ? Number(rest.slice(1)) : size;
  return offset < size ? offset : undefined;
}

/** The address of `rest` (an index, then a path or an offset) in something of that layout or size at `address`. */
function addressInside(
  address: number,
  rest: string,
  what: { layout?: StructLayout; size: number; count?: number; stride: number },
): number | undefined {
  if (what.count !== undefined) {
    const taken = takeIndex(rest, what.count);
    if (taken === undefined) return undefined;
    const { layout, size, stride } = what;
    return addressInside(address + taken.index * stride, taken.rest, { layout, size, stride });
  }
  if (what.layout === undefined || !rest.startsWith('.')) {
    const offset = offsetWithin(rest, what.size);
    return offset === undefined ? undefined : address + offset;
  }
  const path = rest.slice(1);
  for (const [fieldName, field] of Object.entries(what.layout.fields)) {
    if (!path.startsWith(fieldName)) continue;
    const stride = field.stride ?? field.size;
    const found = addressInside(address + field.offset, path.slice(fieldName.length), {
      ...field,
      size: stride,
      stride,
    });
    if (found !== undefined) return found;
  }
  return undefined;
}

function addressInRange(range: NamedRange, rest: string): number | undefined {
  const size = elementSize(range);
  return addressInside(range.address, rest, {
    layout: range.layout,
    size,
    count: range.count,
    stride: range.stride ?? size,
  });
}

/** Bits of an entry's flags; a word at its address holds the domain as well. */
const GRANT_BITS = { 0: 'permit_access', 1: 'accept_transfer', 2: 'readonly', 3: 'reading', 4: 'writing' };

/** Addresses of a domain's named words: one, or one for each element of an array. */
export type WordAddresses = Readonly<Record<string, number | readonly number[]>>;

/**
 * The ranges of a domain's memory: its shared page, start_info, named words, grant table, and every frame by number.
 * @param parts.words - in the order of the scenario; the elements of an array lie at equal distances
 */
export function domainRanges(parts: {
  readonly abi: AbiName;
  readonly sharedInfoAddress: number;
  readonly startInfoAddress?: number;
  readonly words?: WordAddresses;
  readonly frames: number;
  /** Of its grant table, which follows them; default 0. */
  readonly grantFrames?: number;
}): NamedRange[] {
  const { abi, sharedInfoAddress, startInfoAddress, frames, grantFrames = 0 } = parts;
  const { XEN_PAGE_SIZE, XEN_HAVE_PV_GUEST_ENTRY } = ABI_CONSTANTS[abi];
  const ranges: NamedRange[] = [
    { name: 'shared_info', address: sharedInfoAddress, layout: layoutOf(abi, 'shared_info') },
  ];
  if (startInfoAddress !== undefined && XEN_HAVE_PV_GUEST_ENTRY === 1) {
    ranges.push({ name: 'start_info', address: startInfoAddress, layout: layoutOf(abi, 'start_info') });
  }
  for (const [name, at] of Object.entries(parts.words ?? {})) {
    if (typeof at === 'number') ranges.push({ name, address: at });
    else
      at.forEach((address, i) => {
        ranges.push({ name: `${name}[${i}]`, address });
      });
  }
  if (grantFrames > 0) {
    const layout = layoutOf(abi, 'grant_entry_v1');
    const count = (grantFrames * XEN_PAGE_SIZE) / layout.size;
    ranges.push({ name: 'grant', address: frames * XEN_PAGE_SIZE, layout, count, bits: { flags: GRANT_BITS } });
  }
  ranges.push({ name: 'frame', address: 0, size: XEN_PAGE_SIZE, count: frames });
  return ranges;
}
