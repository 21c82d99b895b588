/** What is counted while executions go by. Parts of a search are counted apart and added up. */

import { Coverage, type CoverageData } from './coverage';

/** Different outcomes that are kept apart; the executions of further ones are only counted. */
const MAX_OUTCOMES = 1000;

/** An outcome as it is counted: structured-clonable. */
export interface OutcomeCount {
  readonly key: string;
  readonly results: readonly unknown[];
  count: number;
  /** Of the first execution that ended so. */
  readonly actors: readonly number[];
  readonly choices: readonly number[];
}

export interface TallyData {
  readonly executions: number;
  readonly blocked: number;
  readonly steps: number;
  readonly parked: boolean;
  /** Executions whose outcome is not among `outcomes`. */
  readonly unlisted: number;
  readonly covered: readonly string[];
  readonly outcomes: readonly OutcomeCount[];
  /** Where it is asked for. */
  readonly coverage?: CoverageData;
}

export class Tally {
  executions = 0;
  blocked = 0;
  steps = 0;
  /** Timers or devices were stopped in some execution. */
  parked = false;
  unlisted = 0;
  readonly covered = new Set<string>();
  readonly outcomes = new Map<string, OutcomeCount>();

  /** Where it is asked for. */
  coverage: Coverage | undefined;

  /** Counts an outcome. `schedule` is asked for the first of each. */
  note(results: readonly unknown[], schedule: () => Pick<OutcomeCount, 'actors' | 'choices'>): void {
    const key = outcomeKey(results);
    const known = this.outcomes.get(key);
    if (known !== undefined) known.count++;
    else if (this.outcomes.size < MAX_OUTCOMES) {
      this.outcomes.set(key, { key, results: clonable(results), count: 1, ...schedule() });
    } else this.unlisted++;
  }

  add(data: TallyData): void {
    this.executions += data.executions;
    this.blocked += data.blocked;
    this.steps += data.steps;
    this.parked ||= data.parked;
    this.unlisted += data.unlisted;
    for (const label of data.covered) this.covered.add(label);
    if (data.coverage !== undefined) {
      this.coverage ??= new Coverage();
      this.coverage.add(data.coverage);
    }
    for (const outcome of data.outcomes) {
      const known = this.outcomes.get(outcome.key);
      if (known !== undefined) known.count += outcome.count;
      else if (this.outcomes.size < MAX_OUTCOMES) this.outcomes.set(outcome.key, { ...outcome });
      else this.unlisted += outcome.count;
    }
  }

  /** All counted so far; counting begins anew. */
  take(): TallyData {
    const { executions, blocked, steps, parked, unlisted } = this;
    const data = {
      ...{ executions, blocked, steps, parked, unlisted },
      covered: [...this.covered],
      outcomes: [...this.outcomes.values()],
      ...(this.coverage === undefined ? {} : { coverage: this.coverage.take() }),
    };
    this.executions = this.blocked = this.steps = this.unlisted = 0;
    this.covered.clear();
    this.outcomes.clear();
    return data;
  }
}

/** Results as one string; values JSON does not know are told apart by their text. */
function outcomeKey(results: readonly unknown[]): string {
  return JSON.stringify(results, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)) ?? '';
}

/** The results as they can be sent to another thread: what cannot be is given as text. */
function clonable(results: readonly unknown[]): unknown[] {
  return results.map((value) => {
    if (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') return value;
    try {
      return structuredClone(value);
    } catch {
      return String(value);
    }
  });
}
