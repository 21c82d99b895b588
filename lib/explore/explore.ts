/**
 * Searches the interleavings of a scenario for one that fails.
 *
 * Runs in slices, between which the event loop gets its turn; each slice runs in a microtask, where unwinding a program
 * costs least.
 */
import type { EngineFailure, ExecutionSink, InlineEngine } from '../engine/inline/inline-engine';
import { InlineMachine } from '../engine/inline/inline-machine';
import type { Scenario } from '../engine/scenario';
import { DfsStrategy } from './dfs';
import { type CheckedOptions, checkExploreOptions, type ExploreOptions, makeStrategy } from './options';
import type { ExploreFailure, ExploreReport, Outcome } from './result';
import { encodeToken } from './schedule';
import { recordSchedule } from './script';
import { shrink } from './shrink';
import { resolveSubject, type Subject } from './subject';
import { traceSchedule } from './trace';

const SLICE_MS = 40;
/** Different outcomes that are kept apart; further ones are counted with the last. */
const MAX_OUTCOMES = 1000;
const SHRINK_EXECUTIONS = 50_000;
const SHRINK_MS = 3000;

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
  return await new Exploration(subject, checked).run();
}

class Exploration implements ExecutionSink {
  private readonly machine: InlineMachine;
  private readonly engine: InlineEngine;
  private readonly covered = new Set<string>();
  private readonly outcomes = new Map<string, { results: unknown[]; count: number; token: string }>();
  private executions = 0;
  private blocked = 0;
  private parked = false;
  private found: { readonly failure: EngineFailure; readonly actors: number[]; readonly choices: number[] } | undefined;
  private readonly startedMs = performance.now();

  constructor(
    private readonly subject: Subject,
    private readonly options: CheckedOptions,
  ) {
    this.machine = this.makeMachine();
    this.engine = this.machine.engine;
  }

  async run(): Promise<ExploreReport> {
    const { signal, onProgress } = this.options;
    const strategy = makeStrategy(this.options);
    let exhausted = false;
    let stopped = false;
    while (!exhausted && !stopped) {
      await nextTurn();
      // In a microtask from here on.
      await null;
      exhausted = this.engine.explore(strategy, this, performance.now() + SLICE_MS);
      stopped = this.found !== undefined || this.executions >= this.options.maxExecutions || signal?.aborted === true;
      if (onProgress !== undefined) {
        onProgress({ ...this.progress(), ...(strategy instanceof DfsStrategy && { explored: strategy.explored() }) });
      }
    }
    return this.result(exhausted, signal?.aborted === true);
  }

  executionDone(failure: EngineFailure | null, blocked: boolean): boolean {
    if (blocked) {
      this.blocked++;
      return false;
    }
    this.executions++;
    if (failure !== null) {
      this.found = { failure, ...recordSchedule(this.engine.state) };
      return true;
    }
    this.noteOutcome();
    if (this.engine.parked) this.parked = true;
    return this.executions >= this.options.maxExecutions;
  }

  private makeMachine(): InlineMachine {
    const { memoryModel, hypercalls, dataRaces, maxSteps, seed, hardwareSteps } = this.options;
    const onCover = (label: string): void => void this.covered.add(label);
    const setup = { memoryModel, hypercalls, dataRaces, maxSteps, seed, hardwareSteps, onCover };
    return new InlineMachine(this.subject.plan, setup);
  }

  private noteOutcome(): void {
    const { state } = this.engine;
    const results: unknown[] = [];
    for (let actor = 0; actor < this.machine.vcpuCount; actor++) results.push(state.endValue(actor));
    const key = outcomeKey(results);
    const known = this.outcomes.get(key);
    if (known !== undefined) known.count++;
    else if (this.outcomes.size < MAX_OUTCOMES) {
      this.outcomes.set(key, { results, count: 1, token: this.tokenOf(recordSchedule(state)) });
    }
  }

  private tokenOf(schedule: { readonly actors: readonly number[]; readonly choices: readonly number[] }): string {
    const { memoryModel, hypercalls, dataRaces, seed } = this.options;
    return encodeToken({ memoryModel, hypercalls, dataRaces, seed, ...schedule }, this.subject.fingerprint);
  }

  private progress() {
    const elapsedMs = performance.now() - this.startedMs;
    return {
      executions: this.executions,
      blocked: this.blocked,
      steps: this.engine.steps,
      elapsedMs,
      outcomes: this.outcomes.size,
      executionsPerSecond: Math.round((this.executions / Math.max(elapsedMs, 1)) * 1000),
    };
  }

  private result(exhausted: boolean, aborted: boolean): ExploreReport {
    const { strategy, memoryModel, seed, maxExecutions, preemptionBound } = this.options;
    const { executions, blocked, steps, elapsedMs, executionsPerSecond } = this.progress();
    const failure = this.found === undefined ? null : this.explain(this.found);
    const incomplete = this.whyIncomplete(exhausted, aborted, maxExecutions, preemptionBound);
    const outcomes: Outcome[] = [...this.outcomes.values()].sort((a, b) => b.count - a.count);
    return {
      scenario: this.subject.plan.scenario.name,
      strategy,
      memoryModel,
      seed,
      executions,
      complete: incomplete === null,
      incomplete,
      blocked,
      steps,
      elapsedMs: Math.round(elapsedMs),
      executionsPerSecond,
      outcomes,
      covered: [...this.covered].sort(),
      failure,
    };
  }

  private whyIncomplete(exhausted: boolean, aborted: boolean, maxExecutions: number, bound: number): string | null {
    if (this.found !== undefined) return 'the search ended at the first failure';
    if (aborted) return 'the search was interrupted';
    if (this.executions >= maxExecutions && !exhausted) return `the limit of ${maxExecutions} executions was reached`;
    if (!exhausted) return 'the strategy samples';
    if (bound !== Number.POSITIVE_INFINITY) return `only schedules with at most ${bound} preemptions were tried`;
    if (this.parked)
      return `timers and devices were cut off after ${this.options.hardwareSteps} steps: see hardwareSteps`;
    return null;
  }

  private explain(found: NonNullable<Exploration['found']>): ExploreFailure {
    const { memoryModel, hypercalls, dataRaces, seed, maxSteps, hardwareSteps } = this.options;
    const budget = { executions: SHRINK_EXECUTIONS, milliseconds: SHRINK_MS };
    const least = shrink(() => this.makeMachine().engine, found, budget);
    const schedule = { memoryModel, hypercalls, dataRaces, seed, actors: least.actors, choices: least.choices };
    const traced = traceSchedule(this.subject, schedule, { maxSteps, hardwareSteps });
    const { kind, message, actor } = traced.failure ?? least.failure;
    return {
      kind,
      message,
      ...(actor < 0 ? {} : { actor: this.machine.actorName(actor) }),
      execution: this.executions,
      preemptions: least.preemptions,
      schedule: least.actors,
      token: this.tokenOf(least),
      trace: traced.trace,
    };
  }
}

/** Results as one string; values JSON does not know are told apart by their text. */
function outcomeKey(results: readonly unknown[]): string {
  return JSON.stringify(results, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)) ?? '';
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
