/**
 * `run`: boots a scenario's machine on worker threads and lets it run free.
 */

import { planMachine } from '../machine-plan';
import { resolveScenario } from '../resolve-scenario';
import type { RunResult } from '../run-result';
import type { Scenario } from '../scenario';
import { prepareDiskFiles } from './disk-files';
import { MachineRun } from './machine-run';
import { WorkerPool } from './pool';
import type { Recording } from './record/recording';
import {
  type CheckedRunOptions,
  checkRecordedEvents,
  checkRunOptions,
  DEFAULT_RECORDED_EVENTS,
  type RunOptions,
} from './run-options';

export type { RunOptions, RunResult };

/**
 * Boots the machine a scenario describes, each vCPU on a thread of its own, and resolves when all its domains have
 * ended, however they do: a guest that fails, hangs, deadlocks or is aborted is part of the result.
 *
 * @param scenario - path of a scenario file, or what defineScenario returned to a module that worker threads can import
 * @throws ScenarioError if the scenario or an option cannot be used; nothing has been started then
 */
export async function run(scenario: string | Scenario, options: RunOptions = {}): Promise<RunResult> {
  return await (await prepare(scenario, checkRunOptions(options))).execute();
}

/**
 * As {@link run}, recorded: each thread notes what it does, at some cost, and its newest notes are kept.
 *
 * @param events - of each thread that are kept
 * @throws ScenarioError
 */
export async function runRecorded(
  scenario: string | Scenario,
  options: RunOptions = {},
  events = DEFAULT_RECORDED_EVENTS,
): Promise<{ readonly result: RunResult; readonly recording: Recording }> {
  const machine = await prepare(scenario, { ...checkRunOptions(options), record: checkRecordedEvents(events) });
  const result = await machine.execute();
  return { result, recording: machine.recording as Recording };
}

async function prepare(scenario: string | Scenario, options: CheckedRunOptions): Promise<MachineRun> {
  const { subject, source } = await resolveScenario(scenario);
  const plan = planMachine(subject, options);
  prepareDiskFiles(plan);
  const pool = WorkerPool.withLimits({ maxOldGenerationSizeMb: options.memoryLimitMb });
  return new MachineRun(plan, source, pool, options);
}
