/**
 * Searches the interleavings of a scenario for one that fails: on this thread, in slices between which the event loop gets its
 * turn, or on worker threads.
 */
import { InlineMachine } from '../engine/inline/inline-machine';
import { resolveScenario } from '../engine/resolve-scenario';
import type { Scenario } from '../engine/scenario';
import { evaluateScenario } from '../engine/scenario-source';
import { describeCoverage } from './describe-coverage';
import { explain, tokenOf } from './explain';
import {
  BLOCK,
  type CheckedOptions,
  checkExploreOptions,
  type ExploreOptions,
  isExhaustive,
  makeExhaustive,
  makeSampling,
} from './options';
import { Crew } from './parallel/crew';
import { type ExploreReport, estimateOf, INTERRUPTED } from './result';
import { type Found, Search, setupOf } from './search';
import { resolveSubject, type Subject } from './subject';
import { Tally } from './tally';

const SLICE_MS = 50;

/** What a search has come to. */
export interface Searched {
  readonly tally: Tally;
  readonly found: Found | undefined;
  /** Nothing is left. */
  readonly exhausted: boolean;
  readonly aborted: boolean;
  /** Part of an exhaustive search that is behind. */
  readonly explored: number | undefined;
}

/**
 * Explores until a failure is found, the space is exhausted, or a limit is reached.
 *
 * @param scenario - path of a scenario file, or what defineScenario returned
 * @throws ScenarioError, ExploreOptionError if the scenario or an option cannot be used
 */
export async function exploreScenario(
  scenario: string | Scenario,
  options: ExploreOptions = {},
): Promise<ExploreReport> {
  const checked = checkExploreOptions(options);
  const subject = await resolveSubject(scenario, checked);
  const startedMs = performance.now();
  const searched = await (checked.workers === 0
    ? searchHere(subject, checked, startedMs)
    : searchOnThreads(scenario, subject, checked, startedMs));
  return report(subject, checked, searched, performance.now() - startedMs);
}

/** The search on this thread. */
async function searchHere(subject: Subject, options: CheckedOptions, startedMs: number): Promise<Searched> {
  const { maxExecutions, signal, onProgress } = options;
  const tally = new Tally();
  const exhaustive = isExhaustive(options.strategy) ? makeExhaustive(options) : undefined;
  let explored: number | undefined;
  for (let block = 0; ; block++) {
    const strategy = exhaustive ?? makeSampling(options, block);
    const most = Math.min(maxExecutions - tally.executions, exhaustive === undefined ? BLOCK : maxExecutions);
    const search: Search = new Search(subject.plan, options, strategy, () => search.tally.executions >= most);
    let exhausted = false;
    let over = false;
    while (!over) {
      await nextTurn();
      exhausted = search.slice(SLICE_MS);
      over = exhausted || signal?.aborted === true || search.found !== undefined || search.tally.executions >= most;
      if (!exhausted) explored = exhaustive?.explored();
      onProgress?.(progressOf([tally, search.tally], startedMs, explored));
    }
    const { found } = search;
    tally.add(search.tally.take());
    const aborted = signal?.aborted === true;
    if (exhausted || aborted || found !== undefined || tally.executions >= maxExecutions) {
      return { tally, found, exhausted, aborted, explored };
    }
  }
}

/** The search on worker threads. */
async function searchOnThreads(
  scenario: string | Scenario,
  subject: Subject,
  options: CheckedOptions,
  startedMs: number,
): Promise<Searched> {
  const { plan } = subject;
  const source = subject.source ?? (await resolveScenario(scenario)).source;
  const scenarioIndex = subject.source === undefined ? plan.scenario.origin.index : undefined;
  // What a worker thread could not load is better told from here.
  if (scenarioIndex !== undefined) evaluateScenario(source, { index: scenarioIndex });
  const { onProgress } = options;
  const programs = new InlineMachine(plan, setupOf(options)).programs.length;
  const crew = new Crew(
    { source, scenarioIndex, programs },
    {
      ...options,
      onProgress: onProgress && ((counts) => onProgress({ ...counts, ...speed(counts.executions, startedMs) })),
    },
  );
  return await crew.explore();
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function speed(executions: number, startedMs: number) {
  const elapsedMs = performance.now() - startedMs;
  return { elapsedMs, executionsPerSecond: Math.round((executions / Math.max(elapsedMs, 1)) * 1000) };
}

function progressOf(tallies: readonly Tally[], startedMs: number, explored: number | undefined) {
  const sum = (key: 'executions' | 'blocked' | 'steps') => tallies.reduce((total, tally) => total + tally[key], 0);
  const outcomes = new Set(tallies.flatMap((tally) => [...tally.outcomes.keys()])).size;
  const executions = sum('executions');
  return {
    executions,
    blocked: sum('blocked'),
    steps: sum('steps'),
    outcomes,
    ...speed(executions, startedMs),
    ...(explored === undefined ? {} : { explored }),
  };
}

function report(subject: Subject, options: CheckedOptions, searched: Searched, elapsedMs: number): ExploreReport {
  const { strategy, memoryModel, seed, workers } = options;
  const { tally, found } = searched;
  const { executions, blocked, steps, unlisted } = tally;
  const incomplete = whyIncomplete(searched, options);
  const outcomes = [...tally.outcomes.values()].sort((a, b) => b.count - a.count);
  return {
    scenario: subject.plan.scenario.name,
    strategy,
    memoryModel,
    seed,
    executions,
    complete: incomplete === null,
    incomplete,
    blocked,
    steps,
    elapsedMs: Math.round(elapsedMs),
    executionsPerSecond: Math.round((executions / Math.max(elapsedMs, 1)) * 1000),
    workers: Math.max(1, workers),
    estimate: searched.exhausted ? null : estimateOf(strategy, executions, searched.explored),
    outcomes: outcomes.map(({ results, count, ...schedule }) => ({
      results,
      count,
      token: tokenOf(subject, options, schedule),
    })),
    unlisted,
    covered: [...tally.covered].sort(),
    uncovered: (subject.plan.scenario.covers ?? []).filter((label) => !tally.covered.has(label)),
    failure: found === undefined ? null : explain(subject, options, found, executions),
    ...(tally.coverage === undefined ? {} : { coverage: describeCoverage(subject, options, tally.coverage) }),
  };
}

function whyIncomplete({ found, aborted, exhausted, tally }: Searched, options: CheckedOptions): string | null {
  const { maxExecutions, preemptionBound, hardwareSteps } = options;
  if (found !== undefined) return 'the search ended at the first failure';
  if (aborted) return INTERRUPTED;
  if (tally.executions >= maxExecutions && !exhausted) return `the limit of ${maxExecutions} executions was reached`;
  if (!exhausted) return 'the strategy samples';
  if (preemptionBound !== Number.POSITIVE_INFINITY) {
    return `only schedules with at most ${preemptionBound} preemptions were tried`;
  }
  if (tally.parked) return `timers and devices were cut off after ${hardwareSteps} steps: see hardwareSteps`;
  return null;
}
