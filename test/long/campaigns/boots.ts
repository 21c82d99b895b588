/** Machines booted and destroyed, one after the other. */
import path from 'node:path';
import { run as runScenario, shutdownPool } from '../../../lib/engine/threads';
import type { Campaign, CampaignOptions, Figures } from '../campaign';
import { type Holdings, holdings } from '../holdings';

const SCENARIO = path.join(__dirname, '..', 'scenarios', 'short-lived.ts');
const SHORT_BOOTS = 100;
const LONG_BOOTS = 1000;
/** Boots before the first look: they compile, and start the threads that are kept. */
const WARM_UP = 30;
/** Threads that the pool may have to spare at one look and not at another, and file handles of a thread. */
const SPARE_THREADS = 6;
const FILES_PER_THREAD = 4;
/** What the heap may grow by from the middle to the end, of caches that fill late. */
const HEAP_SLACK_MIB = 4;
/** Threads that are kept may hold this much of machines that are over: see spent-memory.ts. */
const SHARED_SLACK_MIB = 24;
/** The same between collections, the main thread's share included; all the machines would be 450 MiB. */
const SHARED_PEAK_MIB = 160;
/**
 * What the resident memory may grow by in the second half, when heaps and malloc's arenas have come to their size: a seventh of
 * a machine's memory (450 KiB) for each boot, so that a machine kept out of seven is found; a step of those sizes that comes
 * late; and what a thread holds, for each that the pool has more because the others were slow to end.
 */
const RESIDENT_PER_BOOT_MIB = 1 / 16;
const RESIDENT_STEP_MIB = 16;
const RESIDENT_PER_THREAD_MIB = 20;

async function run({ progress, scale, seconds, seed, signal }: CampaignOptions): Promise<Figures> {
  const boots = scale === 'short' ? SHORT_BOOTS : LONG_BOOTS;
  const endMs = performance.now() + (seconds ?? Number.POSITIVE_INFINITY) * 1000;
  const figures: Figures = { domains: 0 };
  let done = 0;
  let peakBytes = 0;
  const bootUntil = async (last: number): Promise<Holdings> => {
    for (; done < last && performance.now() < endMs && !signal.aborted; done++) {
      await boot(seed + done);
      peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers);
    }
    figures.domains = done;
    progress(figures);
    return await holdings();
  };
  await boot(seed);
  await shutdownPool();
  const before = await holdings();
  for (let i = 0; i < WARM_UP; i++) await boot(seed);
  const looks = [await holdings(), await bootUntil(boots / 2)];
  const firstHalf = done;
  looks.push(await bootUntil(boots));
  for (const name of ['threads', 'files', 'heapMiB', 'sharedMiB', 'rssMiB'] as const) {
    figures[`${name} start / middle / end`] = looks.map((look) => look[name]).join(' / ');
  }
  const peakMiB = Math.round(peakBytes / 2 ** 20);
  figures['sharedMiB at most'] = peakMiB;
  await shutdownPool();
  const after = await holdings();
  figures['threads, files when the pool is gone: before / after'] =
    `${before.threads}, ${before.files} / ${after.threads}, ${after.files}`;
  const [start, middle, end] = looks as [Holdings, Holdings, Holdings];
  expectFlat('threads', end.threads - start.threads, SPARE_THREADS);
  expectFlat('open files', end.files - start.files, SPARE_THREADS * FILES_PER_THREAD);
  expectFlat('the heap', end.heapMiB - start.heapMiB, HEAP_SLACK_MIB);
  expectFlat('shared memory', end.sharedMiB - start.sharedMiB, SHARED_SLACK_MIB);
  expectFlat('shared memory between collections', peakMiB, SHARED_PEAK_MIB);
  if (scale === 'long')
    expectFlat('resident memory', end.rssMiB - middle.rssMiB, residentSlack(middle, end, done - firstHalf));
  expectFlat('threads that are left', after.threads - before.threads, 0);
  expectFlat('open files that are left', after.files - before.files, 0);
  return figures;
}

function residentSlack(middle: Holdings, end: Holdings, boots: number): number {
  const threads = Math.max(end.threads - middle.threads, 0);
  return RESIDENT_PER_BOOT_MIB * boots + RESIDENT_STEP_MIB + RESIDENT_PER_THREAD_MIB * threads;
}

function expectFlat(what: string, grown: number, slack: number): void {
  if (grown > slack) throw new Error(`${what}: grown by ${grown}`);
}

async function boot(seed: number): Promise<void> {
  const { failure } = await runScenario(SCENARIO, { seed, onConsole: () => {}, watchdogMs: 60_000 });
  if (failure !== null) throw new Error(failure.message);
}

export const campaign: Campaign = {
  name: 'boots',
  describe: 'domains booted and destroyed in a row leave neither memory nor threads nor open files',
  run,
};
