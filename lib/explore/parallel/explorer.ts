/**
 * A thread of a parallel exploration. It sleeps until it has a job, explores it, and tells what came of it; messages are looked for
 * between executions, so it never goes back to its event loop.
 */
import { planMachine, type ScenarioOptions } from '../../engine/machine-plan';
import { evaluateScenario, type ScenarioSource } from '../../engine/scenario-source';
import { threadEntryPoints } from '../../engine/threads/thread-entry-points';
import { BLOCK, type CheckedOptions, makeSampling } from '../options';
import { type Found, Search } from '../search';
import { Tally, type TallyData } from '../tally';
import type { Share } from './board';
import { Control, type ControlBuffers } from './control';
import type { DfsJob, DfsNews } from './dfs-share';
import { DfsShare } from './dfs-share';
import type { DporAnswer, DporJob, DporNews } from './dpor-messages';
import { DporShare } from './dpor-share';

/** One end of a channel between threads. */
export type Port = InstanceType<typeof MessageChannel>['port1'];

export type Job = DporJob | DfsJob;
export type News = DporNews | DfsNews;
export type Answer = DporAnswer;

/** Structured-clonable. */
export interface ExplorerTask {
  readonly worker: number;
  readonly source: ScenarioSource;
  /** See ScenarioOrigin; undefined for the scenario that the file is about. */
  readonly scenarioIndex: number | undefined;
  readonly options: Omit<CheckedOptions, 'signal' | 'onProgress'> & ScenarioOptions;
  readonly control: ControlBuffers;
  readonly port: Port;
}

/** To a thread. */
export type Order = { readonly kind: 'job'; readonly job: Job } | { readonly kind: 'answer'; readonly answer: Answer };

/** From a thread. */
export type Dispatch =
  | { readonly kind: 'ready' }
  | { readonly kind: 'news'; readonly news: News }
  /** Executions since the last one. */
  | { readonly kind: 'tally'; readonly tally: TallyData }
  /** The job is explored. */
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly found: Found }
  /** A block of a random strategy, whole or up to its first failure. */
  | { readonly kind: 'block'; readonly block: number; readonly tally: TallyData; readonly found: Found | undefined };

/** A slice ends, figures are told, and a guest that loops is given up so long after it began. */
const SLICE_MS = 50;
/** A thread that has shared has so much time to itself. */
const UNDISTURBED_MS = 2;
/** Executions of the first thread before anybody joins it: what fails at once is found in the same order by any number. */
const ALONE = 1000;
const WAIT_MS = 1000;

/** @param receive - takes a message off a port, if there is one */
export function runExplorer(task: ExplorerTask, receive: (port: Port) => unknown): void {
  const explorer = new Explorer(task, receive);
  try {
    if (task.options.strategy === 'dpor' || task.options.strategy === 'dfs') explorer.exploreJobs();
    else explorer.exploreBlocks();
  } finally {
    task.port.close();
  }
}

class Explorer {
  private readonly control: Control;
  private readonly plan;
  private seen = 0;
  private share: (Share<Job, Answer> & ConstructorParameters<typeof Search>[2]) | undefined;
  private search: Search | undefined;
  private lastSharedMs = 0;
  /** It has the first job and all of it. */
  private alone = false;
  private executions = 0;
  private blocked = 0;
  private steps = 0;
  private replayed = 0;

  constructor(
    private readonly task: ExplorerTask,
    private readonly receive: (port: Port) => unknown,
  ) {
    const { source, scenarioIndex, options, control } = task;
    const scenario = evaluateScenario(source, {
      entryPoints: threadEntryPoints,
      ...(scenarioIndex === undefined ? {} : { index: scenarioIndex }),
    });
    this.plan = planMachine(scenario, options);
    this.control = new Control(control);
    this.post({ kind: 'ready' });
  }

  /** Exhaustive strategies: jobs as the board gives them. */
  exploreJobs(): void {
    const { control, task } = this;
    const { options, worker } = task;
    const send = (news: News): void => this.post({ kind: 'news', news });
    const share =
      options.strategy === 'dfs' ? new DfsShare(options.preemptionBound, send) : new DporShare(worker, send);
    this.share = share as NonNullable<typeof this.share>;
    const admit = options.maxExecutions === Number.POSITIVE_INFINITY ? undefined : () => this.isWithinLimit();
    const search = new Search(this.plan, options, share, () => this.betweenExecutions(), admit);
    this.search = search;
    search.engine.attach(share);
    while (!control.stopped) {
      const job = this.nextJob();
      if (job === undefined) continue;
      search.engine.resume(this.share.load(job));
      this.lastSharedMs = performance.now();
      this.alone = job.path.length === 0;
      let exhausted = false;
      while (!exhausted && !control.stopped && search.found === undefined) {
        exhausted = search.slice(SLICE_MS);
        this.tell(search.tally, exhausted ? 1 : share.explored());
      }
      if (search.found !== undefined) {
        this.post({ kind: 'failed', found: search.found });
        return;
      }
      if (exhausted) this.post({ kind: 'done' });
    }
  }

  /** Random strategies: blocks as they come. */
  exploreBlocks(): void {
    const { control } = this;
    const { options } = this.task;
    while (!control.stopped) {
      const block = control.nextBlock();
      const most = Math.min(BLOCK, options.maxExecutions - block * BLOCK);
      if (most <= 0 || block > control.failedBlock) return;
      const goesOn = (): boolean => !control.stopped && block < control.failedBlock;
      const strategy = makeSampling(options, block);
      const tally = new Tally();
      const search: Search = new Search(this.plan, options, strategy, () => {
        return tally.executions + search.tally.executions >= most || !goesOn();
      });
      while (tally.executions < most && search.found === undefined && goesOn()) {
        search.slice(SLICE_MS);
        const data = search.tally.take();
        tally.add(data);
        this.count(data, 0);
      }
      const { found } = search;
      if (found !== undefined) control.blockFailed(block);
      this.post({ kind: 'block', block, tally: tally.take(), found });
    }
  }

  private nextJob(): Job | undefined {
    const { control, task } = this;
    const mail = control.mail(task.worker);
    for (let order = this.take(); order !== undefined; order = this.take()) {
      if (order.kind === 'job') return order.job;
      this.share?.receive(order.answer);
    }
    control.awaitMail(task.worker, mail, WAIT_MS);
    return undefined;
  }

  /** Called after each execution that has not failed. Returns true to stop. */
  private betweenExecutions(): boolean {
    const { control, task } = this;
    const { worker } = task;
    if (control.stopped) return true;
    const mail = control.mail(worker);
    if (mail !== this.seen) {
      this.seen = mail;
      // While it has a job, a thread gets answers only.
      for (let order = this.take(); order?.kind === 'answer'; order = this.take()) this.share?.receive(order.answer);
    }
    if (control.isAskedToShare(worker)) this.tryToShare();
    return false;
  }

  /** Whether the execution just ended is among those wanted; the last of them ends the search. */
  private isWithinLimit(): boolean {
    const { control, task } = this;
    const { maxExecutions } = task.options;
    const count = control.countExecution();
    if (count >= maxExecutions) control.stop();
    return count <= maxExecutions;
  }

  private tryToShare(): void {
    const { control, task, search, share } = this;
    if (this.alone && this.executions + (search?.tally.executions ?? 0) < ALONE) return;
    const nowMs = performance.now();
    if (nowMs - this.lastSharedMs < UNDISTURBED_MS || share?.share() !== true) return;
    this.lastSharedMs = nowMs;
    this.alone = false;
    control.hasShared(task.worker);
  }

  private tell(tally: Tally, explored: number): void {
    const replayed = this.share?.replayed ?? 0;
    tally.steps -= replayed - this.replayed;
    this.replayed = replayed;
    const data = tally.take();
    this.count(data, explored);
    this.post({ kind: 'tally', tally: data });
  }

  private count({ executions, blocked, steps }: TallyData, explored: number): void {
    this.executions += executions;
    this.blocked += blocked;
    this.steps += steps;
    this.control.report(this.task.worker, {
      executions: this.executions,
      blocked: this.blocked,
      steps: this.steps,
      explored,
    });
  }

  private take(): Order | undefined {
    return this.receive(this.task.port) as Order | undefined;
  }

  private post(dispatch: Dispatch): void {
    this.task.port.postMessage(dispatch);
  }
}
