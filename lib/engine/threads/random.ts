/** Reproducible random numbers for vcpu.random and vcpu.choose: one stream per vCPU, from the run's seed. */

/** A generator of numbers in [0, 1): mulberry32, whose 32 bits of state suffice for guests. */
export class RandomStream {
  private state: number;

  /**
   * @param seed - 32 bits
   * @param stream - streams of one seed are independent of each other
   */
  constructor(seed: number, stream: number) {
    this.state = (seed ^ Math.imul(stream + 1, 0x9e3779b1)) | 0;
  }

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from 0 to n - 1. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
}
