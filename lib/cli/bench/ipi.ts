/**
 * `ipi`: the round trip of an IPI between two vCPUs, sleeping and halt-polling, beside what bare threads take to hand over
 * a turn; and what halt polling must not cost: processor time while there is nothing to do.
 */
import { availableParallelism } from 'node:os';
import { compileFutexPingPong, peers } from './baselines';
import { type BenchGroup, firstResult, runGuest } from './group';
import { type BenchResult, measurePairs, type Pair } from './measure';

/** Enough that compiled code is measured: the first some thousand rounds of a guest are interpreted. */
const SLEEPING_ROUNDS = 10_000;
const SPINNING_ROUNDS = 300_000;
const WARM_UP_ROUNDS = 20_000;
const IDLE_MS = 1500;

function pairsOf(signal: AbortSignal): Pair[] {
  const ipi = (rounds: number, haltPolling: boolean) => async () =>
    firstResult<number>(await runGuest('ipi', { args: { rounds, warmUp: WARM_UP_ROUNDS }, haltPolling, signal }));
  const sleeping = ipi(SLEEPING_ROUNDS, false);
  const polling = ipi(SPINNING_ROUNDS, true);
  const unit = 'ns per round trip';
  return [
    {
      name: 'ipi, no halt polling',
      unit,
      subject: sleeping,
      baseline: { name: 'Atomics.wait/notify, two workers', sample: () => peers('atomics-wait', SLEEPING_ROUNDS) },
      goal: { of: 'ratio', atMost: 1.15 },
    },
    {
      name: 'ipi, halt polling',
      unit,
      subject: polling,
      baseline: { name: 'spin, then wait, two workers', sample: () => peers('spin-then-wait', SPINNING_ROUNDS) },
      goal: { of: 'ratio', atMost: 5 },
      note: 'needs a core for each vCPU',
    },
    {
      name: 'ipi, halt polling',
      unit,
      subject: polling,
      baseline: { name: 'postMessage, two workers', sample: () => peers('post-message', SLEEPING_ROUNDS) },
    },
  ];
}

/** Percent of one core that a domain of four idle vCPUs takes. */
async function idleDomain(signal: AbortSignal): Promise<number> {
  const end = new AbortController();
  let used = Number.NaN;
  const started = performance.now();
  const timer = { handle: undefined as NodeJS.Timeout | undefined };
  const idle = runGuest('idle', {
    signal: AbortSignal.any([signal, end.signal]),
    onDeadlock: 'wait',
    onProgress: ({ domains }) => {
      const blocked = domains[0]?.vcpus.every(({ state }) => state === 'blocked') ?? false;
      if (!blocked || timer.handle !== undefined) return;
      const before = process.cpuUsage();
      const since = performance.now();
      timer.handle = setTimeout(() => {
        const { user, system } = process.cpuUsage(before);
        used = (user + system) / 10 / (performance.now() - since);
        end.abort();
      }, IDLE_MS);
    },
  });
  await idle.catch((error) => {
    if (!end.signal.aborted) throw error;
  });
  clearTimeout(timer.handle);
  signal.throwIfAborted();
  if (Number.isNaN(used))
    throw new Error(`the domain was not idle within ${Math.round(performance.now() - started)} ms`);
  return used;
}

/** The same for a process in which nothing runs at all. */
async function idleProcess(): Promise<number> {
  const before = process.cpuUsage();
  const since = performance.now();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 10 / (performance.now() - since);
}

async function measure(signal: AbortSignal): Promise<BenchResult[]> {
  const pairs = pairsOf(signal);
  const futex = await compileFutexPingPong();
  try {
    const polling = pairs[1];
    if (futex !== undefined && polling !== undefined) {
      pairs.push({
        ...polling,
        baseline: { name: 'futex, two threads in C', sample: () => futex.measure(SLEEPING_ROUNDS) },
        goal: { of: 'ratio', atMost: 0.05 },
      });
    }
    pairs.push({
      name: 'idle domain, 4 vCPUs',
      unit: '% of a core',
      subject: () => idleDomain(signal),
      baseline: { name: 'this process with no guest', sample: idleProcess },
      goal: { of: 'median', atMost: 1 },
    });
    return await measurePairs(pairs, signal);
  } finally {
    await futex?.remove();
  }
}

export const ipi: BenchGroup = {
  name: 'ipi',
  description: `round trip of an IPI between two vCPUs (${availableParallelism()} cores here); processor time of an idle domain`,
  measure,
};
