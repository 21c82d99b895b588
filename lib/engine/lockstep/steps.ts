/** The steps of an execution as data: what both deterministic engines can be compared by. */
import type { EventSource } from '../inline/event-history';
import type { MachineState } from '../inline/machine-state';
import { LOG_EXPECTED, LOG_OPERAND, LOG_RESULT, LOG_TAG, RECORD } from '../inline/operation-log';
import { KIND_MASK, Op } from '../inline/ops';
import {
  EVENT,
  EVENT_ACTOR,
  EVENT_AFTER,
  EVENT_BEFORE,
  EVENT_EXPECTED,
  EVENT_OPERAND,
  EVENT_RESULT,
  EVENT_TAG,
  EXPECTED_EVENT,
  type SharedWords,
} from './shared-words';

/** One event. Times are in nanoseconds. */
export interface LockstepStep {
  readonly actor: number;
  /** Kind and address, see ops.ts. */
  readonly tag: number;
  readonly operand: number;
  /** What a compare-exchange compares with; else 0. */
  readonly expected: number;
  readonly result: number;
  /** The location before and after. Known of executions on threads only. */
  readonly before?: number;
  readonly after?: number;
}

/** The events of the execution a machine of the inline engine stands at the end of. */
export function stepsOfState(state: MachineState): LockstepStep[] {
  const steps: LockstepStep[] = [];
  const positions = new Int32Array(state.actors);
  for (let event = 0; event < state.depth; event++) {
    const actor = state.evActor[event] as number;
    const at = (positions[actor] as number) * RECORD;
    positions[actor] = (positions[actor] as number) + 1;
    const log = state.logs[actor] as Int32Array;
    const tag = log[at + LOG_TAG] as number;
    const kind = tag & KIND_MASK;
    const operand = log[at + LOG_OPERAND] as number;
    const result = log[at + LOG_RESULT] as number;
    steps.push({
      actor,
      tag,
      operand:
        kind === Op.TICK ? 0 : kind === Op.TIMER_SET || kind === Op.SLEEP ? state.numbers.value(operand) : operand,
      expected: kind === Op.CAS8 || kind === Op.CAS32 ? (log[at + LOG_EXPECTED] as number) : 0,
      result: tellsTime(kind) ? state.numbers.value(result) : result,
    });
  }
  return steps;
}

/** The inline engine keeps times as numbers of a table. */
function tellsTime(kind: number): boolean {
  return kind === Op.NOW || kind === Op.TIMER_WAIT || kind === Op.SLEEP || kind === Op.TICK;
}

/** The events of the execution that is in these words. */
export function stepsOfWords({ trace, depth }: SharedWords): LockstepStep[] {
  const steps: LockstepStep[] = [];
  for (let event = 0; event < depth; event++) {
    const at = event * EVENT;
    steps.push({
      actor: trace[at + EVENT_ACTOR] as number,
      tag: trace[at + EVENT_TAG] as number,
      operand: trace[at + EVENT_OPERAND] as number,
      expected: trace[at + EVENT_EXPECTED] as number,
      result: trace[at + EVENT_RESULT] as number,
      before: trace[at + EVENT_BEFORE] as number,
      after: trace[at + EVENT_AFTER] as number,
    });
  }
  return steps;
}

/** The events of the execution that is in these words, for the invariants. */
export function eventsOfWords({ trace, depth, programs }: SharedWords, tso: boolean): EventSource {
  const slot = (at: number) => (event: number) => trace[event * EVENT + at] as number;
  return {
    length: depth,
    programs,
    tso,
    actor: slot(EVENT_ACTOR),
    tag: slot(EVENT_TAG),
    expected: slot(EVENT_EXPECTED),
    result: slot(EVENT_RESULT),
    before: slot(EVENT_BEFORE),
    after: slot(EVENT_AFTER),
  };
}

/** Steps as the numbers that SharedWords.expect takes. */
export function expectedEvents(steps: readonly LockstepStep[]): Float64Array {
  const events = new Float64Array(steps.length * EXPECTED_EVENT);
  for (const [event, { actor, tag, operand, expected, result }] of steps.entries()) {
    events.set([actor, tag, operand, expected, result], event * EXPECTED_EVENT);
  }
  return events;
}
