/**
 * A parallel exploration as the main thread sees it: starts the threads, keeps the books, adds up what they tell, and ends them,
 * by force if they do not end by themselves. Nothing is left running when it is over.
 *
 * The first failure ends the search; under a random strategy, where executions have numbers, the failure with the lowest one
 * counts, and what was explored before it.
 */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Piscina } from 'piscina';
import { toError } from '../../engine/errors';
import type { ScenarioSource } from '../../engine/scenario-source';
import { type CheckedOptions, type ExploreProgress, isExhaustive } from '../options';
import type { Found } from '../search';
import { Tally, type TallyData } from '../tally';
import type { Board } from './board';
import { Control } from './control';
import { DfsBoard } from './dfs-share';
import { DporBoard } from './dpor-board';
import type { Answer, Dispatch, ExplorerTask, Job, News, Order, Port } from './explorer';

const LOOK_MS = 100;
/** Beyond the time a guest may take, before a thread that says nothing is given up. */
const SILENCE_MS = 2000;
/** For a thread to find out that it is to end. */
const GRACE_MS = 500;

/** The compiled worker, also when this file itself is executed as TypeScript. */
function workerFile(): string {
  const root = join(__dirname, '..', '..', '..');
  return join(root, __filename.endsWith('.ts') ? 'dist/workers' : 'workers', 'explorer.js');
}

/** What is to be explored, as worker threads get it. */
export interface CrewSubject {
  readonly source: ScenarioSource;
  readonly scenarioIndex: number | undefined;
  /** Of the machine: vCPUs, devices, timer. */
  readonly programs: number;
}

export interface CrewResult {
  readonly tally: Tally;
  readonly found: Found | undefined;
  readonly exhausted: boolean;
  readonly aborted: boolean;
  readonly explored: number | undefined;
}

interface Member {
  readonly worker: number;
  readonly port: Port;
  /** It has nothing to do, and said so. */
  idle: boolean;
  heardMs: number;
}

type Counts = Pick<ExploreProgress, 'executions' | 'blocked' | 'steps' | 'outcomes' | 'explored'>;

export class Crew {
  private readonly control: Control;
  private readonly board: Board<Job, News, Answer> | undefined;
  private readonly members: Member[] = [];
  private readonly tally = new Tally();
  private readonly blocks = new Map<number, { readonly tally: TallyData; readonly found: Found | undefined }>();
  private readonly pool: Piscina;
  private found: Found | undefined;
  private defect: Error | undefined;
  private aborted = false;
  private stoppedAtMs = Number.POSITIVE_INFINITY;
  private lookedMs = performance.now();

  constructor(
    private readonly subject: CrewSubject,
    private readonly options: CheckedOptions,
  ) {
    const { strategy, memoryModel, hypercalls, workers } = options;
    this.control = Control.make(workers);
    if (strategy === 'dfs') this.board = new DfsBoard() as Board<Job, unknown, never> as Board<Job, News, never>;
    else if (isExhaustive(strategy)) {
      const board = new DporBoard(subject.programs, memoryModel, hypercalls === 'atomic');
      this.board = board as Board<Job, unknown, Answer> as Board<Job, News, Answer>;
    }
    // Workers run compiled code: no loader of this process's is wanted there.
    this.pool = new Piscina({ filename: workerFile(), minThreads: 0, maxThreads: workers, execArgv: [] });
    this.pool.on('error', (error: Error) => this.fail(error));
  }

  /** @throws what the package itself did wrong; all else is part of the result */
  async explore(): Promise<CrewResult> {
    const { options, control } = this;
    const abort = (): void => {
      this.aborted = true;
      this.stop();
    };
    options.signal?.addEventListener('abort', abort, { once: true });
    if (options.signal?.aborted) abort();
    const tasks = Array.from({ length: options.workers }, (_, worker) => this.start(worker));
    const looking = setInterval(() => this.look(), LOOK_MS);
    try {
      await Promise.all(tasks);
    } finally {
      clearInterval(looking);
      options.signal?.removeEventListener('abort', abort);
      control.stop();
      for (const { port } of this.members) port.close();
      await this.pool.destroy();
    }
    if (this.defect !== undefined) throw this.defect;
    return this.result();
  }

  /** What is known by now. */
  private counts(): Counts {
    const { board, control, members, tally } = this;
    let executions = 0;
    let blocked = 0;
    let steps = 0;
    for (const { worker } of members) {
      const figures = control.figuresOf(worker);
      executions += figures.executions;
      blocked += figures.blocked;
      steps += figures.steps;
    }
    const outcomes = new Set(tally.outcomes.keys());
    for (const block of this.blocks.values()) for (const { key } of block.tally.outcomes) outcomes.add(key);
    const explored = board?.explored((worker) => control.figuresOf(worker).explored);
    return { executions, blocked, steps, outcomes: outcomes.size, ...(explored === undefined ? {} : { explored }) };
  }

  private result(): CrewResult {
    const { board, aborted, tally } = this;
    const explored = this.counts().explored;
    // Blocks up to the first that failed; those after it do not count.
    for (const [, block] of [...this.blocks].sort(([a], [b]) => a - b)) {
      tally.add(block.tally);
      if (block.found === undefined) continue;
      this.found = block.found;
      break;
    }
    const exhausted = board?.finished === true && this.found === undefined;
    return { tally, found: this.found, exhausted, aborted: aborted && !exhausted, explored };
  }

  private async start(worker: number): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    const member: Member = { worker, port: port1, idle: false, heardMs: performance.now() };
    this.members.push(member);
    port1.on('message', (dispatch: Dispatch) => {
      member.heardMs = performance.now();
      this.receive(member, dispatch);
    });
    const { signal, onProgress, ...options } = this.options;
    const { source, scenarioIndex } = this.subject;
    const control = this.control.buffers;
    const task: ExplorerTask = { worker, source, scenarioIndex, options, control, port: port2 };
    try {
      await this.pool.run(task, { transferList: [port2] });
    } catch (thrown) {
      if (!this.control.stopped) this.lose(member, toError(thrown));
    }
    await setTimeout(0);
    member.idle = true;
    if (this.members.length === this.options.workers) this.handOut();
  }

  private receive(member: Member, dispatch: Dispatch): void {
    const { board } = this;
    const { worker } = member;
    switch (dispatch.kind) {
      case 'tally':
        this.tally.add(dispatch.tally);
        return;
      case 'block':
        this.blocks.set(dispatch.block, dispatch);
        return;
      case 'failed':
        this.found ??= dispatch.found;
        this.stop();
        return;
      case 'news': {
        const answer = board?.receive(worker, dispatch.news);
        if (answer !== undefined) this.post(member, { kind: 'answer', answer });
        break;
      }
      case 'done':
        board?.done(worker);
        member.idle = true;
        break;
      default:
        member.idle = true;
    }
    this.handOut();
  }

  /** Jobs for those that have none; when none is left, the others are asked to share. */
  private handOut(): void {
    const { board, control } = this;
    if (board === undefined || control.stopped) return;
    if (board.finished) {
      this.stop();
      return;
    }
    let wanting = false;
    for (const member of this.members) {
      if (!member.idle) continue;
      const job = board.take(member.worker);
      if (job === undefined) wanting = true;
      else {
        member.idle = false;
        member.heardMs = performance.now();
        this.post(member, { kind: 'job', job });
      }
    }
    if (!wanting) return;
    for (const { worker, idle } of this.members) if (!idle) control.askToShare(worker);
  }

  private post({ port, worker }: Member, order: Order): void {
    port.postMessage(order);
    this.control.posted(worker);
  }

  private stop(): void {
    if (this.control.stopped) return;
    this.stoppedAtMs = performance.now();
    this.control.stop();
  }

  /** Called regularly. */
  private look(): void {
    const { options, members } = this;
    const nowMs = performance.now();
    if (nowMs - this.stoppedAtMs > GRACE_MS) void this.pool.destroy();
    const { watchdogMs, onProgress } = options;
    // A main thread that was busy has not listened.
    if (nowMs - this.lookedMs > SILENCE_MS / 2) for (const member of members) member.heardMs = nowMs;
    this.lookedMs = nowMs;
    for (const member of members) {
      if (watchdogMs === 0 || member.idle || nowMs - member.heardMs < watchdogMs + SILENCE_MS) continue;
      const message = `a guest keeps a worker thread from its next step for ${watchdogMs / 1000} s (limit: watchdogMs)`;
      this.found ??= { kind: 'livelock', message, actor: -1, actors: [], choices: [], endless: true };
      this.stop();
    }
    onProgress?.(this.counts() as ExploreProgress);
  }

  /** A thread has ended before its time. */
  private lose({ worker }: Member, error: Error): void {
    const { code } = error as NodeJS.ErrnoException;
    const { executions } = this.control.figuresOf(worker);
    const about = `in a worker thread, after some ${executions} executions there`;
    if (code === 'ERR_WORKER_OUT_OF_MEMORY') {
      const message = `out of memory ${about}: a guest keeps what it allocates`;
      this.found ??= { kind: 'crash', message, actor: -1, actors: [], choices: [], endless: true };
    } else if (code !== undefined || /exit/i.test(error.message)) {
      const message = `a guest has ended its thread ${about}: ${error.message}`;
      this.found ??= { kind: 'crash', message, actor: -1, actors: [], choices: [], endless: true };
    } else this.defect ??= error;
    this.stop();
  }

  private fail(error: Error): void {
    this.defect ??= error;
    this.stop();
  }
}
