/**
 * The footprint of an atomic hypercall: what its operations have touched, taken together.
 *
 * Nobody sees what memory was in between. So bytes that hold the same afterwards as before count as read, whatever was
 * written to them: a lock that was taken and given back makes no two hypercalls depend on each other.
 */
import { type FootLists, MANY, Op, READS, SHARES, WRITES } from './ops';

const WORD = 0;
/** Bytes touched; bytes that may have changed; bytes that count as written whatever they hold. As in footprints. */
const TOUCHED = 1;
const CHANGING = 2;
const WRITTEN = 3;
/** Union of the classes of what was done to the word. */
const CLASSES = 4;
const ENTRY = 5;

export class SectionFoot {
  private entries = new Int32Array(ENTRY * 64);
  private count = 0;

  constructor(private readonly feet: FootLists) {}

  clear(): void {
    this.count = 0;
  }

  /** @param kind - of the operation that touches this: sleepers and those who wake them leave no trace in the word */
  add(foot: number, kind: number): void {
    if (foot === 0) return;
    if ((foot & MANY) !== 0) {
      for (const one of this.feet.of(foot)) this.add(one, kind);
      return;
    }
    const bytes = foot & 0xf0;
    const at = this.entryOf(foot >>> 8);
    const { entries } = this;
    entries[at + TOUCHED] = (entries[at + TOUCHED] as number) | bytes;
    entries[at + CLASSES] = (entries[at + CLASSES] as number) | (foot & 7);
    if ((foot & (WRITES | SHARES)) === 0) return;
    entries[at + CHANGING] = (entries[at + CHANGING] as number) | bytes;
    if (kind === Op.WAIT || kind === Op.WAIT_END || kind === Op.NOTIFY) {
      entries[at + WRITTEN] = (entries[at + WRITTEN] as number) | bytes;
    }
  }

  /**
   * @param before - a word before the hypercall
   * @param after - a word now
   */
  combine(before: (word: number) => number, after: Int32Array): number {
    const feet: number[] = [];
    for (let at = 0; at < this.count * ENTRY; at += ENTRY) {
      const { entries } = this;
      const word = entries[at + WORD] as number;
      let written = entries[at + WRITTEN] as number;
      const changing = entries[at + CHANGING] as number;
      if (changing !== 0) written |= changing & differingBytes(before(word), after[word] as number);
      const access = ((entries[at + CLASSES] as number) & WRITES) === 0 ? SHARES : WRITES;
      const read = (entries[at + TOUCHED] as number) & ~written;
      if (access === SHARES && written !== 0) {
        feet.push((word << 8) | changing | SHARES);
        continue;
      }
      if (written !== 0) feet.push((word << 8) | written | WRITES);
      if (read !== 0) feet.push((word << 8) | read | READS);
    }
    return this.feet.intern(feet.sort((a, b) => a - b));
  }

  private entryOf(word: number): number {
    for (let at = 0; at < this.count * ENTRY; at += ENTRY) if (this.entries[at + WORD] === word) return at;
    if (this.count * ENTRY === this.entries.length) {
      const larger = new Int32Array(this.entries.length * 2);
      larger.set(this.entries);
      this.entries = larger;
    }
    const at = this.count++ * ENTRY;
    this.entries.fill(0, at, at + ENTRY);
    this.entries[at + WORD] = word;
    return at;
  }
}

/** The bytes in which two words differ, as in a footprint. */
function differingBytes(a: number, b: number): number {
  const bits = a ^ b;
  let bytes = 0;
  for (let byte = 0; byte < 4; byte++) if (((bits >>> (byte * 8)) & 0xff) !== 0) bytes |= 0x10 << byte;
  return bytes;
}
