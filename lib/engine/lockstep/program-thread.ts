/** A program's worker thread as the main thread sees it: its reports, its end, and the means to end it. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { toError } from '../errors';
import type { WorkerPool } from '../threads/pool';
import type { LockstepTask, ProgramReport } from './lockstep-thread';
import type { SharedWords } from './shared-words';

/** How a thread left an execution: with a report, or for good. */
export type ThreadOutcome = ProgramReport | { readonly lost: Error };

export class ProgramThread {
  /** Settles when the thread has no more to do with the session. */
  readonly gone: Promise<void>;
  private readonly port: MessagePort;
  private readonly controller = new AbortController();
  private lost: Error | undefined;
  private resolveReport: ((outcome: ThreadOutcome) => void) | undefined;

  constructor(
    private readonly pool: WorkerPool,
    task: Omit<LockstepTask, 'port'>,
    private readonly words: SharedWords,
  ) {
    const { port1, port2 } = new MessageChannel();
    this.actor = task.actor;
    this.port = port1;
    port1.on('message', (report: ProgramReport) => this.settle(report));
    this.gone = pool.run('lockstep', { ...task, port: port2 }, this.controller.signal, [port2]).then(
      () => this.lose(new Error('it ended by itself')),
      (error: unknown) => this.lose(toError(error)),
    );
  }

  private readonly actor: number;

  /** What comes of the execution that is about to begin. */
  report(): Promise<ThreadOutcome> {
    if (this.lost !== undefined) return Promise.resolve({ lost: this.lost });
    return new Promise((resolve) => {
      this.resolveReport = resolve;
    });
  }

  /** The execution has begun and the thread has not left it. */
  get busy(): boolean {
    return this.resolveReport !== undefined;
  }

  /** Ends the thread. */
  terminate(): void {
    void this.pool.terminate(this.words.threadOf(this.actor), this.controller);
  }

  private lose(error: Error): void {
    this.lost = error;
    this.port.close();
    this.settle({ lost: error });
  }

  private settle(outcome: ThreadOutcome): void {
    const resolve = this.resolveReport;
    this.resolveReport = undefined;
    resolve?.(outcome);
  }
}
