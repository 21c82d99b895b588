/** Memory as a log of accesses tells it: what is in each place by now, as far as it is known. */
import { Op } from '../engine/inline/ops';
import type { LoggedAccess } from '../engine/threads';

export class MemoryShadow {
  private readonly views: readonly DataView[];
  /** 1 for each byte that is known. */
  private readonly known: readonly Uint8Array[];

  /**
   * @param startOfDay - of each region, the bytes the log begins with
   * @param whole - the log begins at the beginning; else nothing is known but what it tells
   */
  constructor(regions: number, startOfDay: (region: number) => Uint8Array, whole: boolean) {
    const bytes = Array.from({ length: regions }, (_, region) => startOfDay(region).slice());
    this.views = bytes.map(({ buffer }) => new DataView(buffer));
    this.known = bytes.map(({ length }) => new Uint8Array(length).fill(whole ? 1 : 0));
  }

  /** The byte or word (signed) at an address; undefined if it is not known. */
  value(region: number, address: number, narrow: boolean): number | undefined {
    const [view, known] = [this.views[region], this.known[region]];
    if (view === undefined || known === undefined) return undefined;
    if (narrow) return known[address] === 1 ? view.getUint8(address) : undefined;
    for (let i = address; i < address + 4; i++) if (known[i] !== 1) return undefined;
    return view.getInt32(address, true);
  }

  set(region: number, address: number, narrow: boolean, value: number): void {
    const view = this.views[region];
    if (view === undefined) return;
    if (narrow) view.setUint8(address, value);
    else view.setInt32(address, value, true);
    this.known[region]?.fill(1, address, address + (narrow ? 1 : 4));
  }

  /** The word around an address, with this value there; bytes that are not known as they were at start of day. */
  wordWith(region: number, address: number, narrow: boolean, value: number): number {
    if (!narrow) return value | 0;
    const shift = (address & 3) * 8;
    const word = this.views[region]?.getInt32(address & ~3, true) ?? 0;
    return (word & ~(0xff << shift)) | (value << shift);
  }
}

/** What an access leaves in its place. @param old - what it found */
export function newValue({ kind, operand, expected }: LoggedAccess, old: number): number {
  switch (kind) {
    case Op.WRITE8:
    case Op.STORE8:
    case Op.EXCHANGE8:
      return operand & 0xff;
    case Op.WRITE32:
    case Op.STORE32:
    case Op.EXCHANGE32:
      return operand | 0;
    case Op.ADD8:
      return (old + operand) & 0xff;
    case Op.ADD32:
      return (old + operand) | 0;
    case Op.AND8:
    case Op.AND32:
      return old & operand;
    case Op.OR8:
      return (old | operand) & 0xff;
    case Op.OR32:
      return old | operand;
    case Op.XOR8:
      return (old ^ operand) & 0xff;
    case Op.XOR32:
      return old ^ operand;
    case Op.CAS8:
      return old === (expected & 0xff) ? operand & 0xff : old;
    case Op.CAS32:
      return old === (expected | 0) ? operand | 0 : old;
    default:
      return old;
  }
}
