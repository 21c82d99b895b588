/**
 * `run`: boots a scenario's machine on worker threads and lets it run free.
 */

import { planMachine } from '../machine-plan';
import { resolveScenario } from '../resolve-scenario';
import type { RunResult } from '../run-result';
import type { Scenario } from '../scenario';
import { MachineRun } from './machine-run';
import { WorkerPool } from './pool';
import { checkRunOptions, type RunOptions } from './run-options';

export type { RunOptions, RunResult };

/**
 * Boots the machine a scenario describes, each vCPU on a thread of its own, and resolves when all its domains have
 * ended, however they do: a guest that fails, hangs, deadlocks or is aborted is part of the result.
 *
 * @param scenario - path of a scenario file, or what defineScenario returned to a module that worker threads can import
 * @throws ScenarioError if the scenario or an option cannot be used; nothing has been started then
 */
export async function run(scenario: string | Scenario, options: RunOptions = {}): Promise<RunResult> {
  const checked = checkRunOptions(options);
  const { subject, source } = await resolveScenario(scenario);
  const plan = planMachine(subject, checked);
  const pool = WorkerPool.withLimits({ maxOldGenerationSizeMb: checked.memoryLimitMb });
  return await new MachineRun(plan, source, pool, checked).execute();
}
