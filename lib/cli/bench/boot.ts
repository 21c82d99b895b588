/**
 * `boot`: how long until the guests of 2, 8 and 32 vCPUs have run, on new threads and on warm ones, beside as many bare
 * workers; and the memory a vCPU takes beside a bare worker's.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { shutdownPool } from '../../engine/threads';
import { bareWorkers } from './baselines';
import { type BenchGroup, runGuest } from './group';
import { measurePairs, type Pair } from './measure';

const run = promisify(execFile);
const SIZES = [2, 8, 32] as const;
const WARM_GOAL_MS: Readonly<Record<number, number>> = { 8: 5 };

async function bootMs(vcpus: number, signal: AbortSignal): Promise<number> {
  const start = performance.now();
  await runGuest('boot', { vcpus, signal });
  return performance.now() - start;
}

function pairsOf(vcpus: number, signal: AbortSignal): Pair[] {
  const unit = 'ms';
  const baseline = { name: `new Worker × ${vcpus}`, sample: () => bareWorkers(vcpus) };
  return [
    {
      name: `boot, ${vcpus} vCPUs, cold`,
      unit,
      subject: async () => {
        await shutdownPool();
        return bootMs(vcpus, signal);
      },
      baseline,
      goal: { of: 'ratio', atMost: 1.5 },
    },
    {
      name: `boot, ${vcpus} vCPUs, warm`,
      unit,
      subject: async () => {
        await bootMs(vcpus, signal);
        return bootMs(vcpus, signal);
      },
      baseline,
      goal: WARM_GOAL_MS[vcpus] === undefined ? undefined : { of: 'median', atMost: WARM_GOAL_MS[vcpus] },
    },
  ];
}

/** Resident memory per thread in MiB, measured in a process of its own. */
async function footprintMiB(kind: 'vcpu' | 'worker'): Promise<number> {
  const { stdout } = await run(process.execPath, ['--expose-gc', path.join(__dirname, 'footprint.js'), kind]);
  return Number(stdout);
}

export const boot: BenchGroup = {
  name: 'boot',
  description: 'booting 2, 8 and 32 vCPUs cold and warm; memory per vCPU',
  async measure(signal) {
    const pairs = SIZES.flatMap((vcpus) => pairsOf(vcpus, signal));
    pairs.push({
      name: 'memory per vCPU',
      unit: 'MiB',
      subject: () => footprintMiB('vcpu'),
      baseline: { name: 'a bare worker', sample: () => footprintMiB('worker') },
      goal: { of: 'ratio', atMost: 1.5 },
    });
    return measurePairs(pairs, signal);
  },
};
