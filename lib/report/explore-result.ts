/** `explore` as the package offers it: the search, and its result with the one-line check for tests. */
import type { Scenario } from '../engine/scenario';
import { exploreScenario } from '../explore/explore';
import type { ExploreOptions } from '../explore/options';
import type { ExploreFailure, ExploreReport } from '../explore/result';
import type { TraceFailure } from '../explore/trace-format';
import { type ChartOptions, chart } from './chart';
import { type ReplaySetting, replayCommand } from './command';
import { summarise } from './summary';

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
  const assertHeld = (): void => {
    const { failure } = report;
    if (failure === null) return;
    const command = replayCommand(file, replaySetting(options), failure.token);
    throw new ExplorationFailed(describeFailure(failure, command), failure);
  };
  // Not enumerable: the result is data for everyone who prints it.
  return Object.defineProperty({ ...report }, 'assertHeld', { value: assertHeld }) as ExploreResult;
}

/** Of the options of an exploration, those its replays need. */
export function replaySetting({ vcpus, abi, events, args, memoryModel, maxSteps }: ExploreOptions): ReplaySetting {
  return { vcpus, abi, events, args, memoryModel, maxSteps };
}

/**
 * A failure for people: two lines of summary, the chart, and the command that replays it.
 * @param command - as {@link replayCommand} makes it
 */
export function describeFailure(failure: ExploreFailure, command: string, options: ChartOptions = {}): string {
  const { trace } = failure;
  const [what, where] = summarise(trace, trace.failure ?? unrepeated(failure), failure.preemptions);
  return [
    options.paint?.('red', what) ?? what,
    `${where}; found in execution ${failure.execution}`,
    '',
    chart(trace, options),
    '',
    command,
  ].join('\n');
}

/** A failure that did not happen again when its schedule was traced: nondeterminism. */
function unrepeated({ kind, message, actor, trace }: ExploreFailure): TraceFailure {
  return { kind, message, ...(actor === undefined ? {} : { actor: trace.actors.indexOf(actor) }) };
}
