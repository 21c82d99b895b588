/** A small seeded random generator (xorshift128 after Marsaglia): same seed, same sequence, on every machine. */
export class Random {
  private x: number;
  private y: number;
  private z: number;
  private w: number;

  /** @param seed - any number; taken modulo 2^32 */
  constructor(seed: number) {
    // Spread the seed over the state (splitmix-like), never all zero.
    let state = seed | 0;
    const word = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.x = word();
    this.y = word();
    this.z = word();
    this.w = word() | 1;
  }

  /** 32 random bits, signed. */
  bits(): number {
    const t = this.x ^ (this.x << 11);
    this.x = this.y;
    this.y = this.z;
    this.z = this.w;
    this.w = this.w ^ (this.w >>> 19) ^ (t ^ (t >>> 8));
    return this.w;
  }

  /** Uniform in 0..count-1, for count up to 2^16 (bias below 2^-16). */
  below(count: number): number {
    return count === 1 ? 0 : ((this.bits() >>> 16) * count) >>> 16;
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return (this.bits() >>> 0) / 0x100000000;
  }
}
