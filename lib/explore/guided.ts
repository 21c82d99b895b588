/**
 * Searches for a schedule under which every vCPU does what its log says it did on a free-running thread. The log's clock
 * says in which order to try; a step that comes to another result than the log has is not taken, or taken back; what is
 * left is depth-first search.
 *
 * Under x86-TSO a store reaches memory some time after its step, so results cannot be told beforehand: there every step
 * that is possible is tried, and given up when its result is another.
 */
import type { MachineState } from '../engine/inline/machine-state';
import type { Strategy } from '../engine/inline/strategy';
import type { LogFollower, Place } from './log-follower';

/** A vCPU that waits for an upcall gets its turn after others. */
const UPCALL_PENALTY = 1000;
/** Timers, devices and time go after all that is in a log, and before what is not. */
const HARDWARE_TICK = 1e9;

export class GuidedStrategy implements Strategy {
  readonly name = 'guided';
  readonly eager = true;
  readonly blocked = 0;
  private state!: MachineState;
  private followers: readonly LogFollower[] = [];
  /** Per event: actors to try yet, best last; and where its actor's follower stood before. */
  private readonly untried: number[][] = [];
  private readonly before: (Place | undefined)[] = [];
  private forced = -1;
  private lost = false;

  /** @param makeFollowers - one per vCPU, by actor */
  constructor(private readonly makeFollowers: (state: MachineState) => readonly LogFollower[]) {}

  attach(state: MachineState): void {
    this.state = state;
    this.followers = this.makeFollowers(state);
  }

  begin(): void {
    this.lost = false;
  }

  follower(actor: number): LogFollower | undefined {
    return this.followers[actor];
  }

  choose(enabled: number): number {
    if (this.lost) return -1;
    const { depth } = this.state;
    let actor = this.forced;
    this.forced = -1;
    if (actor < 0) {
      const order = this.order(enabled);
      actor = order.pop() ?? -1;
      this.untried[depth] = order;
      if (actor < 0) return -1;
    }
    this.before[depth] = this.followers[actor]?.place;
    return actor;
  }

  chooseValue(actor: number, count: number): number {
    return Math.min(this.followers[actor]?.choice(count) ?? 0, count - 1);
  }

  executed(): void {
    const { state } = this;
    const event = state.depth - 1;
    const follower = this.followers[state.evActor[event] as number];
    if (follower === undefined) return;
    for (let position = state.evFirst[event] as number; position < state.endOf(event); position++) {
      if (!follower.follow(position)) {
        this.lost = true;
        return;
      }
    }
  }

  end(): void {}

  next(): number {
    for (let event = this.state.depth - 1; event >= 0; event--) {
      const follower = this.followers[this.state.evActor[event] as number];
      if (follower !== undefined) follower.place = this.before[event] as Place;
      const next = this.untried[event]?.pop();
      if (next !== undefined) {
        this.forced = next;
        return event;
      }
    }
    return -1;
  }

  /** Actors that may go on, best last. */
  private order(enabled: number): number[] {
    const actors: { readonly actor: number; readonly key: number }[] = [];
    for (let rest = enabled; rest !== 0; rest &= rest - 1) {
      const actor = 31 - Math.clz32(rest & -rest);
      const follower = this.followers[actor];
      if (follower !== undefined && !this.state.tso && !follower.fitsNow()) continue;
      actors.push({ actor, key: this.keyOf(actor, follower) });
    }
    return actors.sort((a, b) => b.key - a.key).map(({ actor }) => actor);
  }

  private keyOf(actor: number, follower: LogFollower | undefined): number {
    if (follower === undefined) return HARDWARE_TICK + actor;
    return follower.tick + (follower.awaitsUpcall ? UPCALL_PENALTY : 0);
  }
}
