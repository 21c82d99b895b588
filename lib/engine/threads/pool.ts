/**
 * The worker threads of the process: a Piscina pool that has a thread for every task, so that no vCPU ever waits for
 * another's thread to become free. Idle threads stay warm for some seconds, so that the next boot finds them; they
 * keep neither the process nor a test alive.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import type { MessagePort, ResourceLimits, Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';

/** Beyond any machine's vCPUs; a pool never queues a task while it has fewer threads than this. */
const MAX_THREADS = 4096;
const IDLE_TIMEOUT_MS = 10_000;
/**
 * V8 gives a thread up to 48 MB for young objects before it looks whether they are dead, and never takes them back: the
 * pages of many warm threads. It holds a guest up for no longer if it looks more often, at less each time.
 */
const YOUNG_GENERATION_MB = 12;

/** What a thread can be: the exports of workers/thread-roles.ts. */
export type ThreadRole = 'vcpu' | 'timer' | 'device' | 'lockstep';

/** The same of workers/stress-roles.ts, a file of its own: other threads need not load it. */
export type StressRole = 'stressVcpu' | 'stressTimer' | 'stressDevice';

const STRESS_ROLES: readonly string[] = ['stressVcpu', 'stressTimer', 'stressDevice'] satisfies StressRole[];

/** The compiled worker, also when this file itself is executed as TypeScript. */
function workerFile(name: string): string {
  const root = join(__dirname, '..', '..', '..');
  return join(root, __filename.endsWith('.ts') ? 'dist/workers' : 'workers', name);
}

const pools = new Map<string, WorkerPool>();

export class WorkerPool {
  private readonly piscina: Piscina;
  private readonly listeners = new Map<string, () => void>();
  /** By thread id, as long as the thread exists. */
  private readonly workers = new Map<number, Worker>();
  /** Why no thread can be started. */
  private broken: Error | undefined;

  private constructor(
    private readonly key: string,
    resourceLimits: ResourceLimits,
  ) {
    this.piscina = new Piscina({
      filename: workerFile('machine.js'),
      name: 'vcpu',
      minThreads: 0,
      maxThreads: MAX_THREADS,
      idleTimeout: IDLE_TIMEOUT_MS,
      // Workers run compiled code: no loader of this process's is wanted there.
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB, ...resourceLimits },
      recordTiming: false,
    });
    this.piscina.on('message', (runId: unknown) => this.listeners.get(String(runId))?.());
    // A thread is ready before it gets its first task.
    this.piscina.on('workerCreate', () => this.keepTrack());
    this.piscina.on('error', (error: Error) => this.giveUp(error));
  }

  /** The pool whose threads have these limits. */
  static withLimits(resourceLimits: ResourceLimits): WorkerPool {
    const key = JSON.stringify(resourceLimits);
    let pool = pools.get(key);
    if (pool === undefined) {
      pool = new WorkerPool(key, resourceLimits);
      pools.set(key, pool);
    }
    return pool;
  }

  /**
   * Runs a task on a thread of its own. Rejects when the thread ends before the task does.
   * @param signal - for {@link terminate}
   * @param transfer - ports in the task: the thread gets them
   */
  run(
    role: ThreadRole | StressRole,
    task: unknown,
    signal?: AbortSignal,
    transfer: readonly MessagePort[] = [],
  ): Promise<unknown> {
    const options = {
      name: role,
      ...(STRESS_ROLES.includes(role) ? { filename: workerFile('stress-roles.js') } : {}),
      ...(signal === undefined ? {} : { signal }),
      ...(transfer.length === 0 ? {} : { transferList: [...transfer] }),
    };
    return this.piscina.run(task, options).catch((error) => {
      throw this.broken ?? error;
    });
  }

  /** Resolves when the thread makes no further access to memory: at once if there is none with that id. */
  async gone(threadId: number): Promise<void> {
    const worker = this.workers.get(threadId);
    if (worker !== undefined) await once(worker, 'exit');
  }

  private keepTrack(): void {
    for (const worker of this.piscina.threads) {
      const { threadId } = worker;
      if (this.workers.has(threadId)) continue;
      this.workers.set(threadId, worker);
      worker.once('exit', () => this.workers.delete(threadId));
    }
  }

  /** A thread failed outside any task, so it could not start: none of the tasks still queued would fare better. */
  private giveUp(error: Error): void {
    this.broken ??= error;
    this.close().catch(() => {});
  }

  /**
   * Ends a thread that does not end its task by itself; the task rejects. Resolves when the thread has gone. A task
   * that has just ended is left alone, for its thread may already have another.
   * @param controller - whose signal the task was given
   */
  async terminate(threadId: number, controller: AbortController): Promise<void> {
    const worker = this.workers.get(threadId);
    if (worker === undefined) return;
    const gone = once(worker, 'exit');
    controller.abort();
    if (!this.piscina.threads.includes(worker)) await gone;
  }

  /** Calls `listener` whenever a thread posts `runId`. */
  listen(runId: string, listener: () => void): void {
    this.listeners.set(runId, listener);
  }

  unlisten(runId: string): void {
    this.listeners.delete(runId);
  }

  get threads(): number {
    return this.piscina.threads.length;
  }

  async close(): Promise<void> {
    if (pools.get(this.key) === this) pools.delete(this.key);
    await this.piscina.destroy();
  }
}

/** Threads the package has running or warm in this process. */
export function poolThreads(): number {
  let sum = 0;
  for (const pool of pools.values()) sum += pool.threads;
  return sum;
}

/** Ends all threads kept warm. Runs in progress fail. Later runs start new threads. */
export async function shutdownPool(): Promise<void> {
  await Promise.all([...pools.values()].map((pool) => pool.close()));
}
