/**
 * `races`: how long each strategy takes to the first failure of each race of examples/races, beside dpor. All under tso, where
 * those that need a store buffer fail too. Each sample of a random strategy has a seed of its own.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Strategy } from '../../engine/inline/strategy';
import type { MachinePlan } from '../../engine/machine-plan';
import { DporStrategy } from '../../explore/dpor';
import { PctStrategy } from '../../explore/pct';
import { PosStrategy } from '../../explore/pos';
import { RandomStrategy } from '../../explore/random';
import { PACKAGE_ROOT } from '../package-root';
import type { BenchGroup } from './group';
import { type BenchResult, measurePairs, type Sample } from './measure';
import { planOf, search } from './searching';

const RACES = path.join(PACKAGE_ROOT, 'examples', 'races');
const MAX_EXECUTIONS = 50_000;
const PCT_DEPTH = 3;

const RANDOM: Readonly<Record<string, (seed: number) => Strategy>> = {
  random: (seed) => new RandomStrategy(seed),
  pct: (seed) => new PctStrategy(PCT_DEPTH, seed),
  pos: (seed) => new PosStrategy(seed),
};

/** ms until a strategy has found the race, or has given up. */
interface Hunt {
  readonly sample: Sample;
  /** Seeds tried in vain. */
  missed: number;
}

function hunt(plan: MachinePlan, make: (seed: number) => Strategy): Hunt {
  let seed = 0;
  const started: Hunt = {
    missed: 0,
    sample: async () => {
      const { ms, failure } = await search(plan, make(++seed), 'tso', MAX_EXECUTIONS);
      if (failure === null) started.missed++;
      return ms;
    },
  };
  return started;
}

async function measureRace(file: string, signal: AbortSignal): Promise<BenchResult[]> {
  const plan = await planOf(path.join(RACES, file));
  const baseline = { name: 'dpor', sample: hunt(plan, () => new DporStrategy()).sample };
  const hunts = Object.values(RANDOM).map((make) => hunt(plan, make));
  const pairs = Object.keys(RANDOM).map((strategy, index) => ({
    name: `${strategy}, ${path.basename(file, '.ts')}`,
    unit: 'ms to the first failure',
    subject: (hunts[index] as Hunt).sample,
    baseline,
  }));
  const results = await measurePairs(pairs, signal);
  return results.map((result, index) => {
    const { missed } = hunts[index] as Hunt;
    return missed === 0 ? result : { ...result, note: `${missed} seeds: none in ${MAX_EXECUTIONS} executions` };
  });
}

export const races: BenchGroup = {
  name: 'races',
  description: 'time to the first failure of each race in examples/races',
  async measure(signal) {
    const results: BenchResult[] = [];
    const files = readdirSync(RACES).filter((file) => file.endsWith('.ts'));
    for (const file of files.sort()) results.push(...(await measureRace(file, signal)));
    return results;
  },
};
