/** One schedule of a scenario on real worker threads, from boot to end. */
import { resolveScenario } from '../resolve-scenario';
import type { Scenario } from '../scenario';
import {
  type ExecutionOptions,
  type LockstepResult,
  type LockstepSchedule,
  LockstepSession,
  type SessionOptions,
} from './session';

export interface LockstepOptions extends SessionOptions, ExecutionOptions {}

/**
 * Executes a schedule that was found by exploration with the same memory model, seed and step limits.
 *
 * @param scenario - path of a scenario file, or what defineScenario returned to a module that worker threads can import
 * @throws ScenarioError if the scenario or an option cannot be used; the signal's reason if aborted
 */
export async function runLockstep(
  scenario: string | Scenario,
  schedule: LockstepSchedule,
  options: LockstepOptions,
): Promise<LockstepResult> {
  const session = new LockstepSession(await resolveScenario(scenario), options);
  try {
    return await session.run(schedule, options);
  } finally {
    await session.close();
  }
}
