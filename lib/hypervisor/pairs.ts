/**
 * 64-bit values in memory, as little-endian pairs of 32-bit words, and as JavaScript numbers outside it. Exact up to
 * 2^53: 104 days of nanoseconds. The two halves are separate plain accesses: whoever shares a pair guards it, by a lock or
 * by a version.
 */
import type { Memory } from '../memory/memory';

const TWO_TO_32 = 0x1_0000_0000;
/** Times beyond it (146 years of nanoseconds) are the same as never. */
const MAX_TIME_NS = 2 ** 62;

/** The unsigned value of the pair at `address`. */
export function readPair(memory: Memory, address: number): number {
  return (memory.read32(address) >>> 0) + (memory.read32(address + 4) >>> 0) * TWO_TO_32;
}

/** @param value - an integer, 0 .. 2^64 - 1 */
export function writePair(memory: Memory, address: number, value: number): void {
  memory.write32(address, value | 0);
  memory.write32(address + 4, Math.floor(value / TWO_TO_32) | 0);
}

/** A time that fits into a pair: NaN and negative become 0, fractions are cut off, infinity becomes "never". */
export function toTimeNs(value: number): number {
  return value > 0 ? Math.min(Math.floor(value), MAX_TIME_NS) : 0;
}
