/** Random walk: each step goes to one of the enabled actors, all equally likely. */
import type { MachineState } from '../engine/inline/machine-state';
import { Random } from './rng';
import type { Strategy } from './strategy';

export class RandomStrategy implements Strategy {
  readonly name = 'random';
  readonly eager = false;
  readonly blocked = 0;
  private readonly rng: Random;

  constructor(seed: number) {
    this.rng = new Random(seed);
  }

  attach(_state: MachineState): void {}

  begin(): void {}

  choose(enabled: number): number {
    let left = enabled;
    // The k-th bit: drop as many of the lowest as the die says.
    for (let drop = this.rng.below(bitCount(enabled)); drop > 0; drop--) left &= left - 1;
    return 31 - Math.clz32(left & -left);
  }

  chooseValue(_actor: number, count: number): number {
    return this.rng.below(count);
  }

  executed(): void {}

  end(): void {}

  next(): number {
    return 0;
  }
}

/** Number of bits set. */
export function bitCount(mask: number): number {
  let bits = mask - ((mask >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
