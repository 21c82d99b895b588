/**
 * Partial order sampling, after Yuan, Yang, Gu: Partial Order Aware Concurrency Sampling (CAV 2018).
 *
 * Every pending step has a random priority and the highest enabled one is executed; the steps that race with it then
 * draw new priorities. Orders of steps that commute are thus not sampled over and over, orders of those that race are.
 */
import type { MachineState } from '../engine/inline/machine-state';
import type { Strategy } from '../engine/inline/strategy';
import { Random } from '../engine/rng';

export class PosStrategy implements Strategy {
  readonly name = 'pos';
  readonly eager = true;
  readonly blocked = 0;
  private readonly rng: Random;
  private state!: MachineState;
  private readonly priority = new Int32Array(32);

  constructor(seed: number) {
    this.rng = new Random(seed);
  }

  attach(state: MachineState): void {
    this.state = state;
  }

  begin(): void {
    for (let actor = 0; actor < this.state.actors; actor++) this.priority[actor] = this.rng.bits();
  }

  choose(enabled: number): number {
    const { priority, state } = this;
    let best = 31 - Math.clz32(enabled & -enabled);
    for (let rest = enabled & (enabled - 1); rest !== 0; rest &= rest - 1) {
      const actor = 31 - Math.clz32(rest & -rest);
      if ((priority[actor] as number) > (priority[best] as number)) best = actor;
    }
    if (best === state.time) return best;
    const foot = state.pendingFoot(best);
    if (foot !== 0) {
      for (let rest = enabled & ~(1 << best); rest !== 0; rest &= rest - 1) {
        const actor = 31 - Math.clz32(rest & -rest);
        if (state.dependent(best, foot, actor, state.pendingFoot(actor))) priority[actor] = this.rng.bits();
      }
    }
    priority[best] = this.rng.bits();
    return best;
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
