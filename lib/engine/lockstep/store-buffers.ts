/**
 * Store buffers of x86-TSO, one per program: plain stores queue up in the order they were made, and the program that
 * made them sees them before anybody else. A buffer is a list of events of the trace, so it needs no room of its own.
 */
import { KIND_BITS, KIND_MASK, Op } from '../inline/ops';
import { EVENT, EVENT_NEXT_STORE, EVENT_OPERAND, EVENT_TAG, type SharedWords } from './shared-words';

export class StoreBuffers {
  constructor(private readonly words: SharedWords) {}

  isEmpty(program: number): boolean {
    return this.words.oldestStore(program) < 0;
  }

  /** The event just recorded, a plain store, waits at the end of the program's buffer. */
  append(program: number, event: number): void {
    const { words } = this;
    const newest = words.newestStore(program);
    if (newest < 0) words.setOldestStore(program, event);
    else words.trace[newest * EVENT + EVENT_NEXT_STORE] = event;
    words.setNewestStore(program, event);
  }

  /** Takes the oldest store out of the buffer and returns its event. */
  takeOldest(program: number): number {
    const { words } = this;
    const event = words.oldestStore(program);
    const next = words.trace[event * EVENT + EVENT_NEXT_STORE] as number;
    words.setOldestStore(program, next);
    if (next < 0) words.setNewestStore(program, -1);
    return event;
  }

  /** What a program reads from a byte that holds `value` for all others. */
  forward8(program: number, address: number, value: number): number {
    if (program < 0 || this.isEmpty(program)) return value;
    const shift = (address & 3) * 8;
    return (this.forward32(program, address & ~3, value << shift) >>> shift) & 0xff;
  }

  /** The same of a word. */
  forward32(program: number, address: number, value: number): number {
    if (program < 0) return value;
    const { trace } = this.words;
    let seen = value;
    for (let event = this.words.oldestStore(program); event >= 0; ) {
      const at = event * EVENT;
      const tag = trace[at + EVENT_TAG] as number;
      const stored = tag >>> KIND_BITS;
      const operand = trace[at + EVENT_OPERAND] as number;
      if (stored >> 2 === address >> 2) seen = overlay(seen, tag & KIND_MASK, stored, operand);
      event = trace[at + EVENT_NEXT_STORE] as number;
    }
    return seen;
  }
}

/** A word after a store to it or to one of its bytes. */
function overlay(word: number, kind: number, address: number, operand: number): number {
  if (kind === Op.WRITE32) return operand;
  const shift = (address & 3) * 8;
  return (word & ~(0xff << shift)) | ((operand & 0xff) << shift);
}
