/** `replay`: executes one schedule of a scenario again, step by step, and tells what happens. */
import type { FailureKind } from '../engine/inline/inline-engine';
import type { ScenarioOptions } from '../engine/machine-plan';
import type { Scenario } from '../engine/scenario';
import { decodeToken } from './schedule';
import { resolveSubject } from './subject';
import { type Trace, traceSchedule } from './trace';

export interface ReplayOptions extends ScenarioOptions {
  /** As given to explore. */
  readonly maxSteps?: number;
  readonly hardwareSteps?: number;
}

export interface ReplayResult {
  readonly scenario: string;
  readonly engine: 'inline';
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
 * @throws ScenarioError, TokenError if scenario, option or token cannot be used
 */
export async function replay(
  scenario: string | Scenario,
  token: string,
  options: ReplayOptions = {},
): Promise<ReplayResult> {
  const subject = await resolveSubject(scenario, options);
  const schedule = decodeToken(token, subject.fingerprint);
  const { maxSteps = 20_000, hardwareSteps = 16 } = options;
  const { trace, failure, divergedAt, results, preemptions } = traceSchedule(subject, schedule, {
    maxSteps,
    hardwareSteps,
  });
  const vcpus = subject.plan.domains.reduce((sum, { config }) => sum + config.vcpus, 0);
  return {
    scenario: subject.plan.scenario.name,
    engine: 'inline',
    followed: divergedAt < 0,
    divergedAt: divergedAt < 0 ? null : divergedAt + 1,
    failure: failure && {
      kind: failure.kind,
      message: failure.message,
      ...(failure.actor < 0 ? {} : { actor: trace.actors[failure.actor] }),
    },
    results: results.slice(0, vcpus),
    preemptions,
    trace,
  };
}
