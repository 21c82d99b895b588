/** `replay`: executes one schedule of a scenario again, step by step, and tells what happens. */
import type { EngineFailure, FailureKind } from '../engine/inline/inline-engine';
import type { ScenarioOptions } from '../engine/machine-plan';
import type { Scenario } from '../engine/scenario';
import type { Dump } from '../engine/snapshot/dump-file';
import { executeOnThreads } from './on-threads';
import { ExploreOptionError } from './options';
import { dumpOfTrace } from './replay-dump';
import { decodeToken } from './schedule';
import { resolveSubject } from './subject';
import { type Trace, traceSchedule } from './trace';

export const REPLAY_ENGINES = ['inline', 'lockstep'] as const;
export type ReplayEngine = (typeof REPLAY_ENGINES)[number];

export interface ReplayOptions extends ScenarioOptions {
  /**
   * Who executes the schedule: 'inline' (default), or 'lockstep': real worker threads, each step held against the inline
   * engine's. A step that differs is a failure of kind nondeterminism.
   */
  readonly engine?: ReplayEngine;
  /** Ends a replay on threads. */
  readonly signal?: AbortSignal;
  /** As given to explore. */
  readonly maxSteps?: number;
  readonly hardwareSteps?: number;
  /** As given to explore. */
  readonly watchdogMs?: number;
  /** Called once if the execution fails: the machine when it was done. */
  readonly onDump?: (dump: Dump) => void;
}

export interface ReplayResult {
  readonly scenario: string;
  readonly engine: ReplayEngine;
  /** Whether every step of the token could be executed. */
  readonly followed: boolean;
  /** Where not: the number of the step, from 1. */
  readonly divergedAt: number | null;
  readonly failure: { readonly kind: FailureKind; readonly message: string; readonly actor?: string } | null;
  /** What each vCPU's guest returned. */
  readonly results: readonly unknown[];
  readonly preemptions: number;
  readonly trace: Trace;
}

/**
 * @param token - of a failure or an outcome of the same scenario, with the same args
 * @throws ScenarioError, ExploreOptionError, TokenError if scenario, option or token cannot be used
 */
export async function replay(
  scenario: string | Scenario,
  token: string,
  options: ReplayOptions = {},
): Promise<ReplayResult> {
  const { engine = 'inline' } = options;
  if (!REPLAY_ENGINES.includes(engine)) {
    throw new ExploreOptionError(`unknown engine '${engine}': there are ${REPLAY_ENGINES.join(', ')}`);
  }
  const subject = await resolveSubject(scenario, options);
  const schedule = decodeToken(token, subject.fingerprint);
  const { maxSteps = 20_000, hardwareSteps = 16, watchdogMs } = options;
  const limits = { maxSteps, hardwareSteps };
  const traced = traceSchedule(subject, schedule, { ...limits, watchdogMs });
  const { divergedAt, preemptions } = traced;
  let { failure, results, trace } = traced;
  if (engine === 'lockstep' && divergedAt < 0) {
    const onThreads = await executeOnThreads(subject, schedule, limits, options, options.signal);
    // A data race is in the steps themselves, and those are the same.
    if (onThreads.failure !== null || failure?.kind !== 'data-race') failure = onThreads.failure;
    ({ results } = onThreads);
    trace = { ...trace, steps: trace.steps.slice(0, onThreads.steps.length) };
  }
  const vcpus = subject.plan.domains.reduce((sum, { config }) => sum + config.vcpus, 0);
  const told = failure && describeFailure(failure, trace);
  if (told !== null) {
    const { plan } = subject;
    const { domains } = traced;
    options.onDump?.(dumpOfTrace({ plan, engine, seed: schedule.seed, trace, failure: told, domains }));
  }
  return {
    scenario: subject.plan.scenario.name,
    engine,
    followed: divergedAt < 0,
    divergedAt: divergedAt < 0 ? null : divergedAt + 1,
    failure: told,
    results: results.slice(0, vcpus),
    preemptions,
    trace,
  };
}

function describeFailure({ kind, message, actor }: EngineFailure, trace: Trace): ReplayResult['failure'] {
  return { kind, message, ...(actor < 0 ? {} : { actor: trace.actors[actor] }) };
}
