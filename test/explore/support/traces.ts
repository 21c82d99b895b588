/** Mazurkiewicz traces, the slow and obvious way: the reference the reduction is compared with. */
import type { InlineEngine } from '../../../lib/engine/inline/inline-engine';
import { LOG_EXTRA, LOG_RESULT, RECORD } from '../../../lib/engine/inline/operation-log';
import { DRAINS } from '../../../lib/engine/inline/ops';

/**
 * What identifies the trace of the execution that has just ended: its events and, for every two that depend on each
 * other, which came first.
 */
export function traceOf(engine: InlineEngine): string {
  const state = engine.state;
  const events: { name: string; actor: number; number: number; foot: number; kind: number; store: number }[] = [];
  for (let event = 0; event < state.depth; event++) {
    const actor = state.evActor[event] as number;
    const number = state.evFirst[event] as number;
    const log = state.logs[actor] as Int32Array;
    const store = actor >= state.programs ? (log[number * RECORD + LOG_EXTRA] as number) : -1;
    const kind = (log[number * RECORD] as number) & 63;
    const results: number[] = [];
    for (let at = number; at < state.endOf(event); at++) results.push(log[at * RECORD + LOG_RESULT] as number);
    events.push({
      name: `${actor}.${number}=${results}`,
      actor,
      number,
      foot: state.evFoot[event] as number,
      kind,
      store,
    });
  }
  const order: string[] = [];
  for (let later = 0; later < events.length; later++) {
    for (let earlier = 0; earlier < later; earlier++) {
      const a = events[earlier] as (typeof events)[number];
      const b = events[later] as (typeof events)[number];
      if (a.actor === b.actor) continue;
      const buffered = b.store === earlier || (a.actor === b.actor + state.programs && DRAINS[b.kind] === 1);
      if (buffered || state.dependent(a.actor, a.foot, b.actor, b.foot)) order.push(`${a.name}<${b.name}`);
    }
  }
  return `${events
    .map((event) => event.name)
    .sort()
    .join()}|${order.sort().join()}`;
}

/** Everything an onlooker can see at the end: memory and what each program returned. */
export function finalStateOf(engine: InlineEngine, programs: number): string {
  const values: unknown[] = [];
  for (let program = 0; program < programs; program++) {
    values.push((engine.state.done >>> program) & 1 ? engine.state.endValue(program) : 'waiting');
  }
  return `${engine.state.i32.subarray(1024).join()}|${JSON.stringify(values)}`;
}
