/** Random numbers from a seed, and values that break things. */

/** xorshift32: small, and the same everywhere. */
export class Dice {
  private state: number;

  /** @param seed - 0 counts as 1 */
  constructor(seed: number) {
    this.state = seed | 0 || 1;
  }

  /** 0 .. 2^32-1 */
  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 0;
  }

  /** 0 .. n-1 */
  below(n: number): number {
    return this.next() % n;
  }

  /** True once in n times. */
  oneIn(n: number): boolean {
    return this.next() % n === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

/** Numbers at edges, and those that are no integers. */
export const ODD_NUMBERS = [
  0,
  -0,
  1,
  -1,
  2,
  7,
  63,
  64,
  65,
  255,
  1023,
  1024,
  4095,
  4096,
  32752,
  0x7fff,
  0xffff,
  0x10000,
  0x7fffffff,
  0x80000000,
  0xffffffff,
  2 ** 32,
  2 ** 40,
  2 ** 53,
  2 ** 63,
  2 ** 64,
  1e300,
  -1e300,
  0.5,
  -0.5,
  1.000001,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.MIN_VALUE,
] as const;
