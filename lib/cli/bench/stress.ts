/**
 * `stress`: iterations per second of a small scenario under stress, beside what the hand-overs alone would allow: two per
 * iteration, between two bare threads that spin. `chaos`: how soon the races of the gallery show under stress, with
 * chaos and without.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { stress as runStress } from '../../explore/stress';
import { PACKAGE_ROOT } from '../package-root';
import { peers } from './baselines';
import type { BenchGroup } from './group';
import { type BenchResult, measurePairs, median } from './measure';

const DURATION_MS = 1000;
const HANDOVERS = 300_000;
const GALLERY = path.join(PACKAGE_ROOT, 'examples', 'races');
/** Seeds each race is stressed with; what takes longer than the limit has not been found. */
const SEEDS = [1, 2, 3];
const LIMIT_MS = 1500;
const WATCHDOG_MS = 2000;

async function iterationsPerSecond(signal: AbortSignal): Promise<number> {
  const scenario = path.join(__dirname, 'scenarios', 'stress.js');
  const { failures, iterationsPerSecond: rate } = await runStress(scenario, { durationMs: DURATION_MS, signal });
  if (failures.length > 0) throw new Error(`the guest of bench stress failed: ${failures[0]?.message}`);
  return rate;
}

export const stress: BenchGroup = {
  name: 'stress',
  description: 'iterations per second of two vCPUs with ten accesses each',
  measure(signal) {
    return measurePairs(
      [
        {
          name: 'stress, 2 vCPUs × 10 accesses',
          unit: 'iterations/s',
          subject: () => iterationsPerSecond(signal),
          baseline: {
            name: 'two hand-overs by spinning',
            sample: async () => 1e9 / (await peers('spin-then-wait', HANDOVERS)),
          },
          goal: { of: 'median', atLeast: 20_000 },
        },
      ],
      signal,
    );
  },
};

interface Hunt {
  /** Iterations to the first failure, or as many as were tried. */
  readonly iterations: readonly number[];
  readonly found: number;
  /** Failures of which a schedule was made. */
  readonly replayable: number;
}

async function hunt(file: string, chaos: boolean, signal: AbortSignal): Promise<Hunt> {
  const iterations: number[] = [];
  let found = 0;
  let replayable = 0;
  for (const seed of SEEDS) {
    const options = { seed, chaos, durationMs: LIMIT_MS, watchdogMs: WATCHDOG_MS, reconstruct: chaos, signal };
    const result = await runStress(path.join(GALLERY, file), options);
    signal.throwIfAborted();
    const [failure] = result.failures;
    if (failure !== undefined) found++;
    if (typeof failure?.token === 'string') replayable++;
    iterations.push(failure?.iteration ?? result.iterations);
  }
  return { iterations, found, replayable };
}

function row(file: string, chaos: Hunt, plain: Hunt): BenchResult {
  const { iterations } = chaos;
  const baseline = median(plain.iterations);
  const of = SEEDS.length;
  return {
    name: path.basename(file, '.ts'),
    unit: 'iterations to failure',
    median: median(iterations),
    min: Math.min(...iterations),
    max: Math.max(...iterations),
    baseline: { name: 'without chaos', median: baseline },
    ratio: median(iterations) / baseline,
    note: `found ${chaos.found} of ${of}, without ${plain.found} of ${of}; replayable ${chaos.replayable} of ${chaos.found}`,
  };
}

export const chaos: BenchGroup = {
  name: 'chaos',
  description: 'iterations to the first failure of each race of the gallery, with chaos and without',
  async measure(signal) {
    const results: BenchResult[] = [];
    for (const file of readdirSync(GALLERY).filter((name) => name.endsWith('.ts'))) {
      const plain = await hunt(file, false, signal);
      results.push(row(file, await hunt(file, true, signal), plain));
    }
    return results;
  },
};
