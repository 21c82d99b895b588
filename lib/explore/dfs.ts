/**
 * Every schedule, depth first; on request only those with at most so many preemptions.
 *
 * A preemption is a switch away from an actor that could have gone on. At each event the actor of the event
 * before comes first, so that the first schedules are those with the fewest switches.
 */
import type { MachineState } from '../engine/inline/machine-state';
import type { Strategy } from '../engine/inline/strategy';
import { bitCount } from './random';

export class DfsStrategy implements Strategy {
  readonly name = 'dfs';
  readonly eager = true;
  readonly blocked = 0;
  /** Events shared by all executions to come: what is to be explored lies below them. */
  protected root = 0;
  protected state!: MachineState;
  /** Per event: actors still to be tried in its place. */
  protected readonly untried: number[] = [];
  /** Per event: how many actors there were to try. */
  protected readonly branches: number[] = [];
  /** Per event: how many preemptions there are up to it. */
  private readonly preemptions: number[] = [];
  /** Per event that makes a choice: how many values there are (else 0), and the one made (else -1). */
  protected readonly valueCount: number[] = [];
  protected readonly value: number[] = [];
  /** The branch to take first in the next execution. */
  protected forcedActor = -1;
  protected forcedValue = -1;

  /** @param preemptionBound - absent: no bound */
  constructor(private readonly preemptionBound = Number.POSITIVE_INFINITY) {}

  attach(state: MachineState): void {
    this.state = state;
  }

  begin(): void {}

  choose(enabled: number): number {
    const depth = this.state.depth;
    const last = depth > 0 ? (this.state.evActor[depth - 1] as number) : -1;
    const goesOn = last >= 0 && ((enabled >>> last) & 1) !== 0;
    const spent = depth > 0 ? (this.preemptions[depth - 1] as number) : 0;
    let actor = this.forcedActor;
    this.forcedActor = -1;
    if (actor < 0) {
      actor = goesOn ? last : 31 - Math.clz32(enabled & -enabled);
      const allowed = goesOn && spent >= this.preemptionBound ? 1 << last : enabled;
      this.untried[depth] = allowed & ~(1 << actor);
      this.branches[depth] = bitCount(allowed);
    }
    if (this.forcedValue < 0) this.valueCount[depth] = 0;
    this.value[depth] = -1;
    this.preemptions[depth] = goesOn && actor !== last ? spent + 1 : spent;
    return actor;
  }

  chooseValue(_actor: number, count: number): number {
    const depth = this.state.depth;
    const value = Math.max(this.forcedValue, 0);
    this.forcedValue = -1;
    this.valueCount[depth] = count;
    this.value[depth] = value;
    return value;
  }

  /**
   * The part of the tree of schedules that is behind, 0 to 1, each subtree of a node weighing the same (Knuth's measure:
   * Estimating the efficiency of backtrack programs, 1975). To be asked between executions.
   * @param from - depth the tree begins at
   */
  explored(from = 0): number {
    let weight = 1;
    let behind = 0;
    // The next execution leaves the path of the last one at the event after those they share.
    const last = this.forcedActor < 0 ? this.state.depth - 1 : this.state.depth;
    for (let depth = from; depth <= last; depth++) {
      const actors = this.branches[depth] as number;
      const values = Math.max(1, this.valueCount[depth] as number);
      const actorsBehind = actors - 1 - bitCount(this.untried[depth] as number);
      const value = depth === this.state.depth && this.forcedValue >= 0 ? this.forcedValue : this.value[depth];
      const valuesBehind = values > 1 ? (value as number) : 0;
      behind += (weight * (actorsBehind + valuesBehind / values)) / actors;
      weight /= actors * values;
    }
    return behind;
  }

  executed(): void {}

  end(): void {}

  next(): number {
    for (let depth = this.state.depth - 1; depth >= this.root; depth--) {
      const actor = this.state.evActor[depth] as number;
      const value = (this.value[depth] as number) + 1;
      if (value < (this.valueCount[depth] as number)) {
        this.forcedActor = actor;
        this.forcedValue = value;
        return depth;
      }
      const untried = this.untried[depth] as number;
      if (untried !== 0) {
        this.forcedActor = 31 - Math.clz32(untried & -untried);
        this.untried[depth] = untried & (untried - 1);
        return depth;
      }
    }
    return -1;
  }
}
