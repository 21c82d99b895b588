/**
 * Probabilistic concurrency testing, after Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with
 * Probabilistic Guarantees of Finding Bugs (ASPLOS 2010).
 *
 * Actors have random priorities and the highest enabled one runs. At `depth - 1` steps chosen at random the running
 * actor drops below all others. A bug of depth d among n actors and k steps is met by one execution with probability
 * at least 1 / (n * k^(d-1)). k is the longest execution seen so far, so the first executions only measure.
 */
import type { MachineState } from '../engine/inline/machine-state';
import type { Strategy } from '../engine/inline/strategy';
import { Random } from '../engine/rng';

export class PctStrategy implements Strategy {
  readonly name = 'pct';
  readonly eager = true;
  readonly blocked = 0;
  private readonly rng: Random;
  private state!: MachineState;
  private longest = 1;
  /** Higher runs first. */
  private readonly priority = new Int32Array(32);
  /** Steps at which the running actor is put last, ascending, and how many of them have passed. */
  private readonly changes: Int32Array;
  private changed = 0;

  /** @param depth - ordering constraints the bug needs, from 1; 2 and 3 find most */
  constructor(
    private readonly depth: number,
    seed: number,
  ) {
    this.rng = new Random(seed);
    this.changes = new Int32Array(Math.max(0, depth - 1));
  }

  attach(state: MachineState): void {
    this.state = state;
  }

  begin(): void {
    const actors = this.state.actors;
    const { priority, changes, rng } = this;
    for (let actor = 0; actor < actors; actor++) priority[actor] = this.depth + actor;
    for (let actor = actors - 1; actor > 0; actor--) {
      const other = rng.below(actor + 1);
      const swapped = priority[actor] as number;
      priority[actor] = priority[other] as number;
      priority[other] = swapped;
    }
    for (let change = 0; change < changes.length; change++) changes[change] = rng.below(this.longest);
    if (changes.length > 1) changes.sort();
    this.changed = 0;
  }

  choose(enabled: number): number {
    let actor = this.highest(enabled);
    while (this.changed < this.changes.length && this.changes[this.changed] === this.state.depth) {
      // The first change leads to the lowest priority but depth - 2, the last to the lowest of all.
      this.priority[actor] = this.changes.length - 1 - this.changed;
      this.changed++;
      actor = this.highest(enabled);
    }
    return actor;
  }

  chooseValue(_actor: number, count: number): number {
    return this.rng.below(count);
  }

  executed(): void {}

  end(): void {
    if (this.state.depth > this.longest) this.longest = this.state.depth;
  }

  next(): number {
    return 0;
  }

  private highest(enabled: number): number {
    let best = 31 - Math.clz32(enabled & -enabled);
    for (let rest = enabled & (enabled - 1); rest !== 0; rest &= rest - 1) {
      const actor = 31 - Math.clz32(rest & -rest);
      if ((this.priority[actor] as number) > (this.priority[best] as number)) best = actor;
    }
    return best;
  }
}
