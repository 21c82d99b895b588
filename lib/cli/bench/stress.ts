/**
 * `stress`: iterations per second of a small scenario under stress, beside what the hand-overs alone would allow: two per
 * iteration, between two bare threads that spin.
 */
import path from 'node:path';
import { stress as runStress } from '../../explore/stress';
import { peers } from './baselines';
import type { BenchGroup } from './group';
import { measurePairs } from './measure';

const DURATION_MS = 1000;
const HANDOVERS = 300_000;

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
