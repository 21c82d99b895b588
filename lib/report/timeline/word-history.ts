/**
 * Memory at any step of a trace, without keeping a copy of it per step: for each word the steps that changed it and the
 * value since. Imports no more than the format, so that the page can use it.
 */
import type { Trace, TraceStep } from '../../explore/trace-format';

/** The changes of one word, in order. */
interface Changes {
  readonly steps: number[];
  readonly values: number[];
}

/** True for steps that touch one byte. */
export function isNarrow({ op }: Pick<TraceStep, 'op'>): boolean {
  return op.endsWith('8') || op === 'window';
}

export class WordHistory {
  private readonly initial: ReadonlyMap<number, number>;
  private readonly changes = new Map<number, Changes>();

  constructor(trace: Trace) {
    this.initial = new Map(trace.memory?.initial);
    trace.steps.forEach((step, index) => {
      const { address, after } = step;
      if (address === undefined || after === undefined) return;
      this.change(address & ~3, index, isNarrow(step) ? this.withByte(address, after) : after);
    });
  }

  /** The word at an address (a multiple of 4) after a step; -1: before the first. Signed, as operations have it. */
  wordAt(address: number, step: number): number {
    const changes = this.changes.get(address);
    const index = changes === undefined ? -1 : lastUpTo(changes.steps, step);
    return index < 0 ? (this.initial.get(address) ?? 0) : (changes?.values[index] as number);
  }

  byteAt(address: number, step: number): number {
    return (this.wordAt(address & ~3, step) >>> ((address & 3) * 8)) & 0xff;
  }

  /** Bits of a word that are set at any time. */
  everSet(address: number): number {
    const values = this.changes.get(address)?.values ?? [];
    return values.reduce((bits, value) => bits | value, this.initial.get(address) ?? 0);
  }

  /** Bits of a word that change at any time. */
  changedBits(address: number): number {
    const initial = this.initial.get(address) ?? 0;
    return (this.changes.get(address)?.values ?? []).reduce((bits, value) => bits | (value ^ initial), 0);
  }

  private change(address: number, step: number, value: number): void {
    const changes = this.changes.get(address);
    if (changes === undefined) this.changes.set(address, { steps: [step], values: [value] });
    else {
      changes.steps.push(step);
      changes.values.push(value);
    }
  }

  private withByte(address: number, byte: number): number {
    const at = address & ~3;
    const shift = (address & 3) * 8;
    const word = this.changes.get(at)?.values.at(-1) ?? this.initial.get(at) ?? 0;
    return (word & ~(0xff << shift)) | (byte << shift);
  }
}

/** Index of the last element of a rising list that is not above a limit; -1 if there is none. */
export function lastUpTo(sorted: ArrayLike<number>, limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
