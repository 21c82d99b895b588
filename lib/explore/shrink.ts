/**
 * Makes a failing schedule one that a person can follow: fewest preemptions, then fewest steps.
 *
 * First the schedule's runs are taken apart: each is left out in turn (what it did happens later), and what still
 * fails in the same way with less is kept. Then all schedules with fewer preemptions are tried, bound by bound; within
 * the budget the result is the least there is.
 */
import type { EngineFailure, InlineEngine } from '../engine/inline/inline-engine';
import type { Strategy } from '../engine/inline/strategy';
import { DfsStrategy } from './dfs';
import { OutOfTime, withinTime } from './guest-time';
import { recordSchedule, ScriptStrategy } from './script';

export interface FailingSchedule {
  readonly actors: readonly number[];
  readonly choices: readonly number[];
  readonly preemptions: number;
  readonly failure: EngineFailure;
}

export interface ShrinkBudget {
  readonly executions: number;
  readonly milliseconds: number;
}

/**
 * As {@link shrink}, but the schedule as it was found if on some other a guest loops without an access.
 * @param limitMs - when to take it for looping; more than the budget's milliseconds; 0: never
 */
export function shrinkInTime(
  makeEngine: () => InlineEngine,
  found: Omit<FailingSchedule, 'preemptions'>,
  budget: ShrinkBudget,
  limitMs: number,
): FailingSchedule {
  try {
    return withinTime(() => shrink(makeEngine, found, budget), limitMs);
  } catch (error) {
    if (error instanceof OutOfTime) return { ...found, preemptions: 0 };
    throw error;
  }
}

/**
 * @param makeEngine - an engine over the scenario, at its start
 * @param found - the schedule as exploration found it
 */
function shrink(
  makeEngine: () => InlineEngine,
  found: Omit<FailingSchedule, 'preemptions'>,
  budget: ShrinkBudget,
): FailingSchedule {
  const until = performance.now() + budget.milliseconds;
  const attempt = (strategy: Strategy, executions: number): FailingSchedule | undefined => {
    const engine = makeEngine();
    const counter = new PreemptionCounter(engine, strategy);
    let result: FailingSchedule | undefined;
    let left = executions;
    engine.explore(
      counter,
      {
        executionDone(failure) {
          if (failure !== null && failure.kind === found.failure.kind) {
            result = { ...recordSchedule(engine.state), preemptions: counter.preemptions, failure };
          }
          return result !== undefined || --left <= 0;
        },
      },
      until,
    );
    return result;
  };
  let best = attempt(new ScriptStrategy(found.actors, found.choices, false), 1);
  if (best === undefined) return { ...found, preemptions: 0 };
  for (let improved = true; improved && performance.now() < until; ) {
    improved = false;
    const runs = runsOf(best.actors);
    for (let leave = 0; leave < runs.length && performance.now() < until; leave++) {
      const actors = runs.filter((_, run) => run !== leave).flat();
      const candidate = attempt(new ScriptStrategy(actors, best.choices, false), 1);
      if (candidate === undefined || !isLess(candidate, best)) continue;
      best = candidate;
      improved = true;
      break;
    }
  }
  for (let bound = 0; bound < best.preemptions && performance.now() < until; bound++) {
    const candidate = attempt(new DfsStrategy(bound), budget.executions);
    if (candidate !== undefined) return isLess(candidate, best) ? candidate : best;
  }
  return best;
}

function isLess(a: FailingSchedule, b: FailingSchedule): boolean {
  return a.preemptions < b.preemptions || (a.preemptions === b.preemptions && a.actors.length < b.actors.length);
}

/** The schedule cut where the actor changes. */
function runsOf(actors: readonly number[]): number[][] {
  const runs: number[][] = [];
  for (const actor of actors) {
    const run = runs.at(-1);
    if (run !== undefined && run[0] === actor) run.push(actor);
    else runs.push([actor]);
  }
  return runs;
}

/** Passes everything on and counts the preemptions of the current execution. */
export class PreemptionCounter implements Strategy {
  readonly name: string;
  readonly eager = true;
  /** Whether the event at an index was a preemption. */
  private readonly preempted: boolean[] = [];
  private enabled = 0;

  constructor(
    private readonly engine: InlineEngine,
    private readonly inner: Strategy,
  ) {
    this.name = inner.name;
  }

  get blocked(): number {
    return this.inner.blocked;
  }

  get preemptions(): number {
    let count = 0;
    for (let event = 0; event < this.engine.state.depth; event++) if (this.preempted[event]) count++;
    return count;
  }

  attach(): void {
    this.inner.attach(this.engine.state);
  }

  begin(): void {
    this.inner.begin();
  }

  choose(enabled: number): number {
    this.enabled = enabled;
    return this.inner.choose(enabled);
  }

  chooseValue(actor: number, count: number): number {
    return this.inner.chooseValue(actor, count);
  }

  executed(): void {
    const { state } = this.engine;
    const event = state.depth - 1;
    const last = event > 0 ? (state.evActor[event - 1] as number) : -1;
    this.preempted[event] = last >= 0 && last !== state.evActor[event] && ((this.enabled >>> last) & 1) !== 0;
    this.inner.executed();
  }

  end(): void {
    this.inner.end();
  }

  next(): number {
    return this.inner.next();
  }
}
