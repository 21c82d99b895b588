/**
 * Measuring in pairs: a figure and its baseline, taken alternately in the same run, so that what else the
 * machine does falls on both. Medians, because the machine is noisy in one direction only.
 */

/** A row of `upcall bench`: one figure beside one baseline. */
export interface BenchResult {
  readonly name: string;
  /** Unit of median, min, max and of the baseline. */
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly baseline: { readonly name: string; readonly median: number };
  /** median / baseline.median */
  readonly ratio: number;
  /** What the project promises of the ratio (or, where `of` says so, of the figure), if it promises something. */
  readonly goal?: { readonly of: 'ratio' | 'median'; readonly atMost?: number; readonly atLeast?: number };
  /** What the figure depends on, in a few words. */
  readonly note?: string;
}

/** Something that can be measured repeatedly: each call returns one sample in the pair's unit. */
export type Sample = () => Promise<number> | number;

export interface Pair {
  readonly name: string;
  readonly unit: string;
  readonly subject: Sample;
  readonly baseline: { readonly name: string; readonly sample: Sample };
  readonly goal?: BenchResult['goal'];
  readonly note?: string;
}

/** Samples a figure is the median of. */
export const SAMPLES = 7;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * Measures several pairs alternately: one sample of every subject and every distinct baseline per round, after
 * one round that is thrown away (compilation, first page faults).
 * @param signal - ends between two samples with its reason
 */
export async function measurePairs(pairs: readonly Pair[], signal?: AbortSignal): Promise<BenchResult[]> {
  const samplers = new Map<Sample, number[]>();
  for (const pair of pairs) {
    samplers.set(pair.subject, []);
    samplers.set(pair.baseline.sample, []);
  }
  for (let round = -1; round < SAMPLES; round++) {
    for (const [sample, taken] of samplers) {
      signal?.throwIfAborted();
      const value = await sample();
      if (round >= 0) taken.push(value);
    }
  }
  return pairs.map((pair) => {
    const taken = samplers.get(pair.subject) ?? [];
    const baseline = median(samplers.get(pair.baseline.sample) ?? []);
    return {
      name: pair.name,
      unit: pair.unit,
      median: median(taken),
      min: Math.min(...taken),
      max: Math.max(...taken),
      baseline: { name: pair.baseline.name, median: baseline },
      ratio: median(taken) / baseline,
      goal: pair.goal,
      note: pair.note,
    };
  });
}

/** Whether a result keeps its promise; true where nothing was promised. */
export function goalMet({ goal, ratio, median: value }: BenchResult): boolean {
  if (goal === undefined) return true;
  const measured = goal.of === 'ratio' ? ratio : value;
  return (
    measured <= (goal.atMost ?? Number.POSITIVE_INFINITY) && measured >= (goal.atLeast ?? Number.NEGATIVE_INFINITY)
  );
}
