/**
 * Random walk. Every other execution gives each step to one of the enabled actors, all equally likely; those between weigh
 * actors by how many steps they have left (as far as earlier executions tell), so that all interleavings of them are
 * about equally likely, after Zhao, Wolff, Mathur, Roychoudhury: Selectively Uniform Concurrency Testing (ASPLOS
 * 2025). The first finds what happens early on or between actors in step, the other what needs one to be far ahead.
 */
import type { MachineState } from '../engine/inline/machine-state';
import type { Strategy } from '../engine/inline/strategy';
import { Random } from '../engine/rng';

export class RandomStrategy implements Strategy {
  readonly name = 'random';
  readonly eager = false;
  readonly forgets = true;
  readonly blocked = 0;
  private readonly rng: Random;
  private state!: MachineState;
  private weighted = true;
  /** Per actor: the most steps it has made in an execution. */
  private readonly longest = new Int32Array(32);

  constructor(seed: number) {
    this.rng = new Random(seed);
  }

  attach(state: MachineState): void {
    this.state = state;
  }

  begin(): void {
    this.weighted = !this.weighted;
  }

  choose(enabled: number): number {
    if ((enabled & (enabled - 1)) === 0) return 31 - Math.clz32(enabled);
    if (this.weighted) return this.chooseWeighted(enabled);
    let left = enabled;
    // The k-th bit: drop as many of the lowest as the die says.
    for (let drop = this.rng.below(bitCount(enabled)); drop > 0; drop--) left &= left - 1;
    return 31 - Math.clz32(left & -left);
  }

  chooseValue(_actor: number, count: number): number {
    return this.rng.below(count);
  }

  executed(): void {}

  end(): void {
    const { state, longest } = this;
    for (let actor = 0; actor < state.actors; actor++) {
      const steps = state.pos[actor] as number;
      if (steps > (longest[actor] as number)) longest[actor] = steps;
    }
  }

  next(): number {
    return 0;
  }

  private chooseWeighted(enabled: number): number {
    let total = 0;
    for (let rest = enabled; rest !== 0; rest &= rest - 1) total += this.left(31 - Math.clz32(rest & -rest));
    let ticket = this.rng.below(total);
    let rest = enabled;
    for (; ; rest &= rest - 1) {
      const actor = 31 - Math.clz32(rest & -rest);
      ticket -= this.left(actor);
      if (ticket < 0) return actor;
    }
  }

  /** Steps an actor has left, at least 1. */
  private left(actor: number): number {
    return Math.max(1, (this.longest[actor] as number) - (this.state.pos[actor] as number));
  }
}

/** Number of bits set. */
export function bitCount(mask: number): number {
  let bits = mask - ((mask >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
