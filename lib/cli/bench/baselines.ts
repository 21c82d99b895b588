/**
 * The baselines: what bare worker threads, and a C program, take for the same thing. Nothing here uses Upcall.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { PeerTask } from '../../../workers/bench-peer';

const run = promisify(execFile);
const PEER = path.join(__dirname, '../../../workers/bench-peer.js');

function nextMessage(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

/**
 * Runs both sides of a two-worker baseline; returns what side 0 measured, in ns per round.
 * @param bytes - of a message; 0: it is a number
 */
export async function peers(kind: PeerTask['kind'], rounds: number, bytes = 0): Promise<number> {
  const buffer = new SharedArrayBuffer(4096);
  const { port1, port2 } = new MessageChannel();
  const sides = ([0, 1] as const).map((side) => {
    const port = side === 0 ? port1 : port2;
    return new Worker(PEER, { workerData: { kind, side, rounds, bytes, buffer, port }, transferList: [port] });
  });
  try {
    await Promise.all(sides.map(nextMessage));
    const results = sides.map(nextMessage);
    for (const side of sides) side.postMessage('go');
    const [ns] = await Promise.all(results);
    return ns as number;
  } finally {
    await Promise.all(sides.map((side) => side.terminate()));
  }
}

/** As {@link peers}, side 1 on the main thread, over the worker's own port. */
export async function mainThreadPeer(
  kind: 'post-message' | 'message-stream',
  rounds: number,
  bytes: number,
): Promise<number> {
  const worker = new Worker(PEER, {
    workerData: { kind, side: 0, rounds, bytes, buffer: new SharedArrayBuffer(4096) },
  });
  try {
    await nextMessage(worker);
    let received = 0;
    const result = new Promise<number>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('message', (message) => {
        if (typeof message === 'number') resolve(message);
        else if (++received === rounds || kind === 'post-message') worker.postMessage(message);
      });
    });
    worker.postMessage('go');
    return await result;
  } finally {
    await worker.terminate();
  }
}

/** Reads or writes a file of 64 MiB from its start to its end and again, in a worker; returns ns per call. */
export async function filePeer(
  operation: 'read' | 'write',
  file: string,
  bytes: number,
  rounds: number,
): Promise<number> {
  const buffer = new SharedArrayBuffer(4);
  const worker = new Worker(PEER, { workerData: { kind: `file-${operation}`, side: 0, rounds, bytes, buffer, file } });
  try {
    await nextMessage(worker);
    const result = nextMessage(worker);
    worker.postMessage('go');
    return (await result) as number;
  } finally {
    await worker.terminate();
  }
}

/** Milliseconds until `count` bare workers have all been started and have answered. */
export async function bareWorkers(count: number): Promise<number> {
  const start = performance.now();
  const workers = Array.from(
    { length: count },
    () => new Worker('require("node:worker_threads").parentPort.postMessage(1)', { eval: true }),
  );
  await Promise.all(workers.map(nextMessage));
  const elapsed = performance.now() - start;
  await Promise.all(workers.map((worker) => worker.terminate()));
  return elapsed;
}

/** A futex ping-pong between two threads; prints ns per round trip. */
const FUTEX_PING_PONG = `
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static _Alignas(64) atomic_int turn[2][16];
static int rounds;
static void pass(int side, int round) {
  atomic_store(&turn[side][0], round);
  syscall(SYS_futex, &turn[side][0], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
static void await(int side, int round) {
  while (atomic_load(&turn[side][0]) != round)
    syscall(SYS_futex, &turn[side][0], FUTEX_WAIT_PRIVATE, round - 1, NULL, NULL, 0);
}
static void *second(void *unused) {
  for (int i = 1; i <= rounds; i++) { await(1, i); pass(0, i); }
  return unused;
}
int main(int argc, char **argv) {
  struct timespec a, b;
  pthread_t thread;
  rounds = argc > 1 ? atoi(argv[1]) : 1000;
  pthread_create(&thread, NULL, second, NULL);
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (int i = 1; i <= rounds; i++) { pass(1, i); await(0, i); }
  clock_gettime(CLOCK_MONOTONIC, &b);
  pthread_join(thread, NULL);
  printf("%f\\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / rounds);
  return 0;
}
`;

export interface FutexProgram {
  /** ns per round trip. */
  measure(rounds: number): Promise<number>;
  remove(): Promise<void>;
}

/** Compiles the futex baseline; undefined where there is no C compiler or no futex. */
export async function compileFutexPingPong(): Promise<FutexProgram | undefined> {
  const folder = await mkdtemp(path.join(tmpdir(), 'upcall-bench-'));
  const source = path.join(folder, 'futex.c');
  const program = path.join(folder, 'futex');
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await writeFile(source, FUTEX_PING_PONG);
    await run('cc', ['-O2', '-pthread', '-o', program, source]);
  } catch {
    await remove();
    return undefined;
  }
  return { measure: async (rounds) => Number((await run(program, [String(rounds)])).stdout), remove };
}
