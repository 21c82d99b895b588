/** From a failing execution to what is reported of it: the least schedule that fails in the same way, and its trace. */
import { InlineMachine } from '../engine/inline/inline-machine';
import type { CheckedOptions } from './options';
import type { ExploreFailure } from './result';
import { encodeToken, type Schedule } from './schedule';
import { type Found, setupOf } from './search';
import { type FailingSchedule, shrinkInTime } from './shrink';
import type { Subject } from './subject';
import { traceSchedule } from './trace';

const SHRINK_EXECUTIONS = 50_000;
const SHRINK_MS = 3000;
/** A guest known to loop need not be waited for as long as one that may only be slow. */
const ENDLESS_MS = 1000;

/** @param execution - its number in the search, from 1 */
export function explain(subject: Subject, options: CheckedOptions, found: Found, execution: number): ExploreFailure {
  const least = shrunk(subject, options, found);
  const { maxSteps, hardwareSteps, watchdogMs } = options;
  const limits = { maxSteps, hardwareSteps, watchdogMs: found.endless ? ENDLESS_MS : watchdogMs };
  const traced = traceSchedule(subject, scheduleOf(options, least), limits);
  const { kind, message, actor } = found.endless ? found : (traced.failure ?? least.failure);
  const name = traced.trace.actors[actor];
  const failure = traced.trace.failure;
  return {
    kind,
    message,
    ...(name === undefined ? {} : { actor: name }),
    execution,
    preemptions: found.endless ? traced.preemptions : least.preemptions,
    schedule: least.actors,
    token: tokenOf(subject, options, least),
    trace: { ...traced.trace, failure: failure && { ...failure, message } },
  };
}

export function tokenOf(
  subject: Subject,
  options: CheckedOptions,
  schedule: Pick<Schedule, 'actors' | 'choices'>,
): string {
  return encodeToken(scheduleOf(options, schedule), subject.fingerprint);
}

function scheduleOf(options: CheckedOptions, { actors, choices }: Pick<Schedule, 'actors' | 'choices'>): Schedule {
  const { memoryModel, hypercalls, dataRaces, seed } = options;
  return { memoryModel, hypercalls, dataRaces, seed, actors, choices };
}

function shrunk(subject: Subject, options: CheckedOptions, found: Found): FailingSchedule {
  const { kind, message, actor, actors, choices } = found;
  const whole = { actors, choices, failure: { kind, message, actor } };
  if (found.endless) return { ...whole, preemptions: 0 };
  const makeEngine = () => new InlineMachine(subject.plan, setupOf(options)).engine;
  const budget = { executions: SHRINK_EXECUTIONS, milliseconds: SHRINK_MS };
  const { watchdogMs } = options;
  const limitMs = watchdogMs === 0 ? 0 : SHRINK_MS + watchdogMs;
  return shrinkInTime(makeEngine, whole, budget, limitMs);
}
