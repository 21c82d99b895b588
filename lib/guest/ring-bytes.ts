/**
 * Copying bytes between a private array and a byte ring in shared memory: by words where whole words are concerned, by bytes at
 * both ends. A word that holds bytes of two messages is never read or written as a whole, so neither side touches a byte
 * that the indices do not give it.
 */
import type { Memory } from '../memory/memory';

/**
 * @param ring - address of the ring's first byte, a multiple of 4
 * @param size - a power of two
 * @param index - free-running, of the first byte
 * @param into - gets `count` bytes from `start` on
 */
export function copyFromRing(
  memory: Memory,
  ring: number,
  size: number,
  index: number,
  into: Uint8Array,
  start: number,
  count: number,
): void {
  const end = start + count;
  let at = index & (size - 1);
  for (let to = start; to < end; at &= size - 1) {
    if ((at & 3) !== 0 || end - to < 4) {
      into[to++] = memory.read8(ring + at++);
      continue;
    }
    const word = memory.read32(ring + at);
    at += 4;
    into[to++] = word;
    into[to++] = word >>> 8;
    into[to++] = word >>> 16;
    into[to++] = word >>> 24;
  }
}

/** The other direction; parameters as for {@link copyFromRing}. */
export function copyToRing(
  memory: Memory,
  ring: number,
  size: number,
  index: number,
  from: Uint8Array,
  start: number,
  count: number,
): void {
  const end = start + count;
  let at = index & (size - 1);
  for (let next = start; next < end; at &= size - 1) {
    const byte = from[next++] as number;
    if ((at & 3) !== 0 || end - next < 3) {
      memory.write8(ring + at++, byte);
      continue;
    }
    const low = byte | ((from[next++] as number) << 8);
    memory.write32(ring + at, low | ((from[next++] as number) << 16) | ((from[next++] as number) << 24));
    at += 4;
  }
}
