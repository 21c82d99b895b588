/**
 * `run`: boots a scenario's machine on worker threads and lets it run free.
 */

import { ScenarioError } from '../errors';
import { planMachine } from '../machine-plan';
import type { RunResult } from '../run-result';
import { isScenario, type Scenario } from '../scenario';
import { bundleScenario } from '../scenario-bundle';
import { evaluateScenario, type ScenarioSource } from '../scenario-source';
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

/** A scenario together with what worker threads evaluate to get the same one. */
async function resolveScenario(
  scenario: string | Scenario,
): Promise<{ readonly subject: Scenario; readonly source: ScenarioSource }> {
  if (typeof scenario === 'string') {
    const source = await bundleScenario(scenario);
    return { subject: evaluateScenario(source), source };
  }
  if (!isScenario(scenario)) {
    throw new ScenarioError(
      'SCENARIO_INVALID',
      'run takes the path of a scenario file or the result of defineScenario',
    );
  }
  const { file } = scenario.origin;
  if (file === undefined) {
    throw new ScenarioError(
      'SCENARIO_MISSING',
      `scenario '${scenario.name}' is not defined in a file: threads need one`,
    );
  }
  return { subject: scenario, source: await bundleScenario(file) };
}
