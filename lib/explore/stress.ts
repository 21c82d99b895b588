/** `stress`: runs a scenario over and over on free-running threads until it fails or the time is up. */

import { InlineMachine } from '../engine/inline/inline-machine';
import type { MachinePlan } from '../engine/machine-plan';
import { resolveScenario } from '../engine/resolve-scenario';
import type { Scenario } from '../engine/scenario';
import { makeDump } from '../engine/snapshot/dump';
import type { Dump } from '../engine/snapshot/dump-file';
import {
  checkStressOptions,
  planStress,
  type StressFailure,
  type StressRunResult,
  stressPlan,
  type StressOptions as ThreadStressOptions,
} from '../engine/threads/stress';
import { accessesByVcpu, accessLines } from './access-lines';
import { failsTheSameWay, MOST_VCPUS, type Reconstruction, reconstruct } from './reconstruct';
import { stressedMachine, traceRecorded } from './recorded-trace';
import { resolveSubject, type Subject } from './subject';
import type { Trace } from './trace-format';

export interface StressOptions extends ThreadStressOptions {
  /** Search for a schedule that fails as the threads did. Default true. It takes some seconds at most. */
  readonly reconstruct?: boolean;
  /** Called once if an iteration fails: the machine in the first one that did. */
  readonly onDump?: (dump: Dump) => void;
  /**
   * Called once if an iteration fails for which no schedule was found: what its guests did last, in the order of the log's clock. Not
   * for machines of more vCPUs than are explored.
   */
  readonly onTrace?: (trace: Trace) => void;
}

/** An iteration that failed. */
export interface StressFailureReport extends Omit<StressFailure, 'logs' | 'domains' | 'threadsOnly'> {
  /** Replays it under a deterministic engine; null if no schedule was found that fails this way. */
  readonly token: string | null;
  /** How it was found, in one line; or why it was not. */
  readonly reconstruction: string;
  /** The last accesses of all vCPUs, merged: where there is no token. */
  readonly log?: readonly string[];
}

/** What a stress comes to: data, and what `stress --json` prints. */
export interface StressResult extends Omit<StressRunResult, 'failures'> {
  readonly failures: readonly StressFailureReport[];
}

/**
 * Boots the scenario's machine once and runs it over and over, each time from its start of day, on a worker thread per
 * vCPU. Ends at the first failure (see `maxFailures`), after `iterations` or `durationMs`, or when `signal` is aborted. Of
 * failures that are alike, the first is reconstructed as a schedule.
 *
 * @param scenario - path of a scenario file, or what defineScenario returned to a module that worker threads can import
 * @throws ScenarioError if the scenario or an option cannot be used; nothing has been started then
 */
export async function stress(scenario: string | Scenario, options: StressOptions = {}): Promise<StressResult> {
  const checked = checkStressOptions(options);
  const { subject, source } = await resolveScenario(scenario);
  const plan = planStress(subject, checked);
  const result = await stressPlan(plan, source, checked);
  const [first] = result.failures;
  if (first !== undefined) options.onDump?.(dumpOf(plan, first));
  const searched = options.reconstruct === false ? undefined : await resolveSubject(scenario, options);
  const failures: StressFailureReport[] = [];
  for (const failure of result.failures) failures.push(await report(failure, failures, searched));
  if (first !== undefined && failures[0]?.token === null && first.logs.length <= MOST_VCPUS) {
    options.onTrace?.(traceOf(plan, first));
  }
  return { ...result, failures };
}

async function report(
  failure: StressFailure,
  earlier: readonly StressFailureReport[],
  subject: Subject | undefined,
): Promise<StressFailureReport> {
  const { logs, domains: _, threadsOnly, ...found } = failure;
  if (subject === undefined) return { ...found, token: null, reconstruction: 'not searched for' };
  const like = earlier.find(({ kind, message }) => failsTheSameWay(failure, { kind, message }));
  if (like !== undefined) return { ...found, token: like.token, reconstruction: `as iteration ${like.iteration}` };
  const schedule = await reconstruct(subject, failure);
  const log = schedule.token === null ? { log: accessLines(subject.plan, logs) } : {};
  return { ...found, token: schedule.token, reconstruction: describe(schedule), ...log };
}

function traceOf(plan: MachinePlan, { kind, message, domain, vcpu, seed, logs }: StressFailure): Trace {
  const machine = new InlineMachine(plan, { memoryModel: 'sc', seed, maxSteps: 1, hardwareSteps: 1 });
  const concerned = plan.domains.flatMap(({ name, config }) =>
    Array.from({ length: config.vcpus }, (_, id) => name === (domain ?? plan.domains[0]?.name) && id === vcpu),
  );
  const actor = concerned.indexOf(true);
  return traceRecorded(stressedMachine(plan, machine, logs), { kind, message, ...(actor < 0 ? {} : { actor }) });
}

function dumpOf(plan: MachinePlan, failure: StressFailure): Dump {
  const { kind, message, domain, vcpu, stack, seed, domains, logs } = failure;
  const cause = stack === undefined ? {} : { cause: { name: 'Error', message, stack } };
  const told = { kind, message, ...(domain && { domain }), ...(vcpu === undefined ? {} : { vcpu }), ...cause };
  const result = { scenario: plan.scenario.name, engine: 'stress', seed, failure: told, domains: [] };
  return makeDump({ result, systemTime: null, domains, lastAccesses: accessesByVcpu(plan, logs, domains) });
}

function describe(schedule: Reconstruction): string {
  if (schedule.token === null) return schedule.why;
  const { by, memoryModel, preemptions } = schedule;
  const how = by === 'log' ? 'by the results of the last accesses' : 'by a search that does not know their results';
  return `${how}; ${memoryModel}, ${preemptions} preemption${preemptions === 1 ? '' : 's'}`;
}
