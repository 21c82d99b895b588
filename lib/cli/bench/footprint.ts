/**
 * A process of its own that measures what a thread adds to resident memory: `footprint.js vcpu` for vCPUs that sit
 * in SCHEDOP_block, `footprint.js worker` for bare workers that wait. Prints MiB per thread.
 */
import { Worker } from 'node:worker_threads';
import { runGuest } from './group';

const THREADS = 8;

function residentMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 2 ** 20;
}

async function bare(): Promise<number> {
  const before = residentMiB();
  const workers = Array.from(
    { length: THREADS },
    () =>
      new Worker(
        'const { parentPort } = require("node:worker_threads"); parentPort.postMessage(1); parentPort.on("message", () => {})',
        { eval: true },
      ),
  );
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  const grown = residentMiB() - before;
  await Promise.all(workers.map((worker) => worker.terminate()));
  return grown / THREADS;
}

async function vcpus(): Promise<number> {
  // The domain itself and the code of the package, loaded once, are not a vCPU's.
  await runGuest('boot', { vcpus: 1 });
  const end = new AbortController();
  const before = residentMiB();
  let grown = Number.NaN;
  await runGuest('idle', {
    vcpus: THREADS,
    signal: end.signal,
    onDeadlock: 'wait',
    onProgress: ({ domains }) => {
      if (!domains[0]?.vcpus.every(({ state }) => state === 'blocked')) return;
      grown = residentMiB() - before;
      end.abort();
    },
  }).catch((error) => {
    if (!end.signal.aborted) throw error;
  });
  return grown / THREADS;
}

async function main(kind: string | undefined): Promise<void> {
  process.stdout.write(String(await (kind === 'vcpu' ? vcpus() : bare())));
}

if (require.main === module) void main(process.argv[2]);
