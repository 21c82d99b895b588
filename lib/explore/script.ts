/**
 * Follows a given schedule. A strict script stops where the schedule cannot be followed; a lenient one skips what cannot be
 * done and, when the schedule is used up, goes on with the actor of the last event: what shrinking tries out.
 */

import type { MachineState } from '../engine/inline/machine-state';
import { LOG_RESULT, RECORD } from '../engine/inline/operation-log';
import { isBracket, KIND_MASK, Op } from '../engine/inline/ops';
import type { Strategy } from '../engine/inline/strategy';

/** Told of every event a script executes. */
export interface ScriptWatcher {
  before(enabled: number): void;
  after(): void;
}

export class ScriptStrategy implements Strategy {
  readonly name = 'script';
  readonly eager = true;
  readonly blocked = 0;
  private state!: MachineState;
  private event = 0;
  private choice = 0;
  /** The event at which a strict script could not be followed, or -1. */
  divergedAt = -1;

  constructor(
    private readonly actors: readonly number[],
    private readonly choices: readonly number[],
    private readonly strict: boolean,
    private readonly watcher?: ScriptWatcher,
  ) {}

  attach(state: MachineState): void {
    this.state = state;
  }

  begin(): void {}

  choose(enabled: number): number {
    this.watcher?.before(enabled);
    while (this.event < this.actors.length) {
      const actor = this.actors[this.event] as number;
      if (((enabled >>> actor) & 1) !== 0) {
        this.event++;
        return actor;
      }
      if (this.strict) {
        this.divergedAt = this.event;
        return -1;
      }
      this.event++;
    }
    const { state } = this;
    const last = state.depth > 0 ? (state.evActor[state.depth - 1] as number) : 0;
    return ((enabled >>> last) & 1) !== 0 ? last : 31 - Math.clz32(enabled & -enabled);
  }

  chooseValue(_actor: number, count: number): number {
    return Math.min(this.choices[this.choice++] ?? 0, count - 1);
  }

  executed(): void {
    this.watcher?.after();
  }

  end(): void {}

  next(): number {
    return -1;
  }
}

/** The actors of the events executed so far, and the results of their choices. */
export function recordSchedule(state: MachineState): { actors: number[]; choices: number[] } {
  const actors: number[] = [];
  const choices: number[] = [];
  for (let event = 0; event < state.depth; event++) {
    const actor = state.evActor[event] as number;
    const at = (state.evFirst[event] as number) * RECORD;
    const log = state.logs[actor] as Int32Array;
    actors.push(actor);
    if (((log[at] as number) & KIND_MASK) === Op.CHOOSE) choices.push(log[at + LOG_RESULT] as number);
  }
  return { actors, choices };
}

/**
 * The schedule, hypercalls not atomic, under which each operation of an execution is a step of its own and comes to the same.
 * Stores inside an atomic hypercall, which go straight to memory, leave the store buffer at once.
 */
export function fineSchedule(state: MachineState): { actors: number[]; choices: number[] } {
  const actors: number[] = [];
  for (let event = 0; event < state.depth; event++) {
    const actor = state.evActor[event] as number;
    const log = state.logs[actor] as Int32Array;
    for (let at = state.evFirst[event] as number; at < state.endOf(event); at++) {
      const kind = (log[at * RECORD] as number) & KIND_MASK;
      if (!isBracket(kind)) actors.push(actor);
      const stores = kind === Op.WRITE8 || kind === Op.WRITE32;
      if (state.tso && stores && state.isSection(event)) actors.push(actor + state.programs);
    }
  }
  return { actors, choices: recordSchedule(state).choices };
}
