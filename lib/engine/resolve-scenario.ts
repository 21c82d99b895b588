/** Finds a scenario for engines with worker threads: a function cannot be sent there, the text it is made from can. */
import { ScenarioError } from './errors';
import { isScenario, type Scenario } from './scenario';
import { bundleScenario } from './scenario-bundle';
import { evaluateScenario, type ScenarioSource } from './scenario-source';

/**
 * A scenario together with what worker threads evaluate to get the same one.
 *
 * @param scenario - path of a scenario file, or what defineScenario returned to a module that worker threads can import
 * @throws ScenarioError if it cannot be used
 */
export async function resolveScenario(
  scenario: string | Scenario,
): Promise<{ readonly subject: Scenario; readonly source: ScenarioSource }> {
  if (typeof scenario === 'string') {
    const source = await bundleScenario(scenario);
    return { subject: evaluateScenario(source), source };
  }
  if (!isScenario(scenario)) {
    throw new ScenarioError('SCENARIO_INVALID', 'give the path of a scenario file or the result of defineScenario');
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
