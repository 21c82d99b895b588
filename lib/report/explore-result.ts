/** `explore` as the package offers it: the search, and its result with the one-line check for tests. */
import type { Scenario } from '../engine/scenario';
import { exploreScenario } from '../explore/explore';
import type { ExploreOptions } from '../explore/options';
import type { ExploreFailure, ExploreReport } from '../explore/result';
import { chart } from './chart';

export interface ExploreResult extends ExploreReport {
  /**
   * @throws ExplorationFailed if a failure was found; its message is the chart and the token
   */
  assertHeld(): void;
}

/** Thrown by {@link ExploreResult.assertHeld}. */
export class ExplorationFailed extends Error {
  override readonly name = 'ExplorationFailed';

  constructor(
    message: string,
    readonly failure: ExploreFailure,
  ) {
    super(message);
  }
}

/**
 * Explores a scenario until a failure is found, the space is exhausted, or a limit is reached.
 *
 * @param scenario - path of a scenario file, or what defineScenario returned
 * @throws ScenarioError, ExploreOptionError if the scenario or an option cannot be used
 */
export async function explore(scenario: string | Scenario, options: ExploreOptions = {}): Promise<ExploreResult> {
  const report = await exploreScenario(scenario, options);
  const file = typeof scenario === 'string' ? scenario : (scenario.origin.file ?? scenario.name);
  const command = [file, ...commandOptions(options)].join(' ');
  const assertHeld = (): void => {
    if (report.failure !== null) throw new ExplorationFailed(describeFailure(command, report.failure), report.failure);
  };
  // Not enumerable: the result is data for everyone who prints it.
  return Object.defineProperty({ ...report }, 'assertHeld', { value: assertHeld }) as ExploreResult;
}

/** The options a replay needs as well, as the command line takes them. */
export function commandOptions({ vcpus, abi, args }: ExploreOptions): string[] {
  const words: string[] = [];
  if (vcpus !== undefined) words.push(`--vcpus ${vcpus}`);
  if (abi !== undefined) words.push(`--abi ${abi}`);
  if (args !== undefined) words.push(`--args '${JSON.stringify(args)}'`);
  return words;
}

/**
 * A failure for people: two lines of summary, the chart, and the command that replays it.
 * @param scenario - the scenario and its options, as the command line takes them
 */
export function describeFailure(scenario: string, failure: ExploreFailure): string {
  const where = failure.actor === undefined ? '' : ` in ${failure.actor}`;
  const preemptions = `${failure.preemptions} preemption${failure.preemptions === 1 ? '' : 's'}`;
  return [
    `${failure.kind}${where}: ${failure.message}`,
    `found in execution ${failure.execution}; needs ${preemptions}, ${failure.trace.steps.length} steps`,
    '',
    chart(failure.trace),
    '',
    `upcall replay ${scenario} ${failure.token}`,
  ].join('\n');
}
