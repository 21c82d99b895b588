/**
 * `lockstep`: what it costs that each step is another vCPU's when vCPUs are threads, with as many as the machine has cores, and
 * with twice as many; beside two bare workers that hand over a turn by spinning.
 */
import { availableParallelism } from 'node:os';
import { lockstepSwitchNs } from '../../engine/lockstep';
import { peers } from './baselines';
import type { BenchGroup } from './group';
import { measurePairs } from './measure';

const ROUNDS = 100_000;

/** µs per hand-over: half a round trip. */
async function bareHandOver(): Promise<number> {
  return (await peers('spin-then-wait', ROUNDS)) / 2 / 1000;
}

export const lockstep: BenchGroup = {
  name: 'lockstep',
  description: 'a switch between vCPUs under the lockstep engine',
  measure(signal) {
    const cores = availableParallelism();
    const baseline = { name: 'spin, then wait, two workers', sample: bareHandOver };
    const pairs = [cores, 2 * cores].map((vcpus) => ({
      name: `lockstep, ${vcpus} vCPUs on ${cores} cores`,
      unit: 'µs per switch',
      subject: async () => (await lockstepSwitchNs(Math.max(2, vcpus), 1)) / 1000,
      baseline,
    }));
    return measurePairs(pairs, signal);
  },
};
