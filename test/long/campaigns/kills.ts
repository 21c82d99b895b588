/** Threads ended at random, in each state that a thread can be in. */

import { poolThreads, shutdownPool } from '../../../lib/engine/threads';
import { RandomStream } from '../../../lib/engine/threads/random';
import type { Campaign, CampaignOptions, Figures } from '../campaign';
import { holdings } from '../holdings';
import { type Kill, killOnce, type Target } from '../kill-run';

/** Of the prey's vCPU. Hypercalls most often: there is most to be left half done. */
const STATES = [
  'in hypercalls',
  'sending',
  'in an upcall',
  'in hypercalls',
  'in SCHEDOP_block',
  'in SCHEDOP_poll',
  'in SCHEDOP_poll with a timeout',
  'in hypercalls',
  'in wait32',
  'starting',
  'running over its memory',
  'spinning with relax',
  'in hypercalls',
  'never leaving its code',
  'out of heap in hypercalls',
];
const MEMORY_LIMIT_MB = 16;
const SHORT_KILLS = 15;
const LONG_KILLS = 600;
/** Longest time from when the prey is at it to its end (ms). */
const MOST_DELAY_MS = 3;

function kill(number: number, random: RandomStream): Kill {
  const state = STATES[number % STATES.length] as string;
  const odd = random.below(20);
  const target: Target = state !== 'in hypercalls' || odd > 1 ? 'vCPU' : odd === 0 ? 'device' : 'timers';
  const delayMs = random.below(2) * random.next() * MOST_DELAY_MS;
  const options = {
    seed: random.below(2 ** 31),
    ...(state.startsWith('out of heap') ? { memoryLimitMb: MEMORY_LIMIT_MB } : {}),
  };
  return { state, target, delayMs, options };
}

async function run({ progress, scale, seconds, seed, signal }: CampaignOptions): Promise<Figures> {
  const random = new RandomStream(seed, 0);
  const kills = scale === 'short' ? SHORT_KILLS : LONG_KILLS;
  const endMs = performance.now() + (seconds ?? Number.POSITIVE_INFINITY) * 1000;
  const figures: Figures = { kills: 0, hangs: 0 };
  const add = (name: string, count: number): void => {
    figures[name] = Number(figures[name] ?? 0) + count;
  };
  // The first runs compile and fill caches.
  await killOnce({ state: 'in hypercalls', target: 'vCPU', delayMs: 0 });
  await shutdownPool();
  const before = await holdings();
  for (let number = 0; number < kills && performance.now() < endMs && !signal.aborted; number++) {
    const next = kill(number, random);
    const { closedOff, locks } = await killOnce(next);
    add('kills', 1);
    add(next.target === 'vCPU' ? next.state : `the thread of the ${next.target}`, 1);
    add('locks taken from the dead', locks);
    add('domains closed off', closedOff);
    progress(figures);
  }
  await shutdownPool();
  const after = await holdings();
  if (poolThreads() !== 0 || after.threads > before.threads)
    throw new Error(`threads are left: ${before.threads}, ${after.threads}`);
  if (after.files > before.files) throw new Error(`files are left open: ${before.files}, ${after.files}`);
  for (const name of ['threads', 'files', 'heapMiB', 'sharedMiB'] as const)
    figures[`${name} before / after`] = `${before[name]} / ${after[name]}`;
  return figures;
}

export const campaign: Campaign = {
  name: 'kills',
  describe: 'a domain whose thread is ended anywhere ends with the cause; others, host and locks go on',
  run,
};
