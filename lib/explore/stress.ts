/** `stress`: runs a scenario over and over on free-running threads until it fails or the time is up. */
import { resolveScenario } from '../engine/resolve-scenario';
import type { Scenario } from '../engine/scenario';
import {
  checkStressOptions,
  planStress,
  type StressFailure,
  type StressOptions,
  type StressRunResult,
  stressPlan,
} from '../engine/threads/stress';

/** An iteration that failed. */
export type StressFailureReport = Omit<StressFailure, 'logs'>;

/** What a stress comes to: data, and what `stress --json` prints. */
export interface StressResult extends Omit<StressRunResult, 'failures'> {
  readonly failures: readonly StressFailureReport[];
}

/**
 * Boots the scenario's machine once and runs it over and over, each time from its start of day, on a worker thread per
 * vCPU. Ends at the first failure (see `maxFailures`), after `iterations` or `durationMs`, or when `signal` is aborted.
 *
 * @param scenario - path of a scenario file, or what defineScenario returned to a module that worker threads can import
 * @throws ScenarioError if the scenario or an option cannot be used; nothing has been started then
 */
export async function stress(scenario: string | Scenario, options: StressOptions = {}): Promise<StressResult> {
  const checked = checkStressOptions(options);
  const { subject, source } = await resolveScenario(scenario);
  const result = await stressPlan(planStress(subject, checked), source, checked);
  return { ...result, failures: result.failures.map(({ logs, ...failure }) => failure) };
}
