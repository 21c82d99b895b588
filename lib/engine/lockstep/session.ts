/**
 * A machine on warm threads that executes schedules, one after the other: a thread per program, started once, and the
 * machine's memory put back to its start of day before each execution.
 *
 * The main thread has no part in an execution. It begins one, waits until all threads have left it, and reads what came of
 * it. Only a thread that makes no step any more, or an abort, brings it in earlier.
 */
import { availableParallelism } from 'node:os';
import type { Region } from '../../hypervisor/hypervisor';
import type { EngineFailure } from '../inline/failure';
import { type MachineSetup, StepMachine, startOfDayImage } from '../inline/step-machine';
import { planMachine, type ScenarioOptions } from '../machine-plan';
import type { Scenario } from '../scenario';
import type { ScenarioSource } from '../scenario-source';
import { WorkerPool } from '../threads/pool';
import { DEFAULT_MEMORY_LIMIT_MB } from '../threads/run-options';
import { Baton } from './baton';
import { DirectEngine } from './direct-engine';
import { LockstepState } from './lockstep-state';
import type { LockstepMark, ProgramReport } from './lockstep-thread';
import { verdictOf } from './outcome';
import { ProgramThread, type ThreadOutcome } from './program-thread';
import { CLOSED, createLockstepBuffers, EXECUTION, Outcome, type SharedWords } from './shared-words';
import { StallWatch } from './stall-watch';
import { expectedEvents, type LockstepStep, stepsOfWords } from './steps';

/** How long threads that were told to leave have time to. */
const GRACE_MS = 500;
const LOOK_INTERVAL_MS = 100;
const DEFAULT_STALL_MS = 10_000;
/** How long threads, some of which may still be starting, have to leave a session. */
const CLOSE_GRACE_MS = 10_000;

/** A scenario and the text that worker threads evaluate to get the same one; see resolveScenario. */
export interface LockstepSubject {
  readonly subject: Scenario;
  readonly source: ScenarioSource;
}

export interface SessionOptions extends ScenarioOptions, Pick<MachineSetup, 'memoryModel' | 'seed'> {
  /** Events after which an execution counts as a livelock. Default 20,000. */
  readonly maxSteps?: number;
  /** Steps of timer hardware and of each device in one execution. Default 16. */
  readonly hardwareSteps?: number;
  /** Results say what happened between steps. */
  readonly tracing?: boolean;
  /** How long (ms) a guest may compute without a step. Default 10 s. */
  readonly stallMs?: number;
}

export interface LockstepSchedule {
  /** Actor of each event. */
  readonly actors: ArrayLike<number>;
  /** Results of the choices, in the order they are made. */
  readonly choices: ArrayLike<number>;
}

export interface ExecutionOptions {
  /** What an earlier execution of the schedule did: the first step that is not the same ends this one. */
  readonly expected?: readonly LockstepStep[];
  /** Ends the execution; the promise rejects with the signal's reason. The session cannot be used further. */
  readonly signal?: AbortSignal;
}

export interface LockstepResult {
  readonly failure: EngineFailure | null;
  /** Number of the step, from 0, at which the execution left the schedule or what was expected; -1 if it did not. */
  readonly divergedAt: number;
  readonly steps: readonly LockstepStep[];
  /** What each program returned. */
  readonly results: readonly unknown[];
  /** The machine's memory at the end, before the scenario's check. */
  readonly memory: readonly { readonly region: Region; readonly bytes: Uint8Array }[];
  /** Labels of vcpu.cover that were reached. */
  readonly covered: readonly string[];
  /** By actor; empty unless the session traces. */
  readonly marks: readonly (readonly LockstepMark[])[];
  /** Times a thread handed over to another. */
  readonly switches: number;
  /** From the first event to the end. */
  readonly elapsedNs: number;
}

/** How the threads have left an execution. */
interface Departures {
  readonly outcomes: readonly ThreadOutcome[];
  /** The program whose thread was lost first, or -1. */
  readonly firstLost: number;
  /** Programs that made no step any more. */
  readonly stalled: readonly number[];
}

const NO_REPORT: ProgramReport = { execution: 0, covered: [], marks: [] };

export class LockstepSession {
  /** Names, regions, set-up and check: the machine as the main thread sees it. */
  readonly machine: StepMachine<DirectEngine>;
  private readonly words: SharedWords;
  private readonly baton: Baton;
  private readonly threads: readonly ProgramThread[];
  private readonly start: readonly Uint8Array[];
  private readonly startNs: { readonly clockNs: number; readonly deadlineNs: number };
  private readonly stallMs: number;
  private executions = 0;
  private usable = true;
  private running = false;
  private closing: Promise<void> | undefined;

  /**
   * Starts the threads, unless warm ones are there.
   * @throws ScenarioError if an option does not suit the scenario
   */
  constructor({ subject, source }: LockstepSubject, options: SessionOptions) {
    const { memoryModel, seed, maxSteps = 20_000, hardwareSteps = 16, stallMs = DEFAULT_STALL_MS } = options;
    const scenarioOptions = {
      vcpus: options.vcpus,
      abi: options.abi,
      events: options.events,
      args: options.args,
    };
    const plan = planMachine(subject, scenarioOptions);
    const image = startOfDayImage(plan);
    const setup = { memoryModel, seed, maxSteps, hardwareSteps };
    this.machine = new StepMachine(plan, setup, image, ({ programs, regions }) => {
      const buffers = createLockstepBuffers(programs.length, maxSteps);
      return new DirectEngine(new LockstepState(buffers, regions, memoryModel === 'tso'));
    });
    const { words } = this.machine.engine.state;
    this.words = words;
    this.baton = new Baton(words, 0);
    this.stallMs = stallMs;
    words.begin([], [], { clockNs: 0, deadlineNs: 0 });
    this.machine.startOfDay();
    this.start = this.copyMemory();
    this.startNs = { clockNs: words.clockNs, deadlineNs: words.deadlineNs };
    const pool = WorkerPool.withLimits({ maxOldGenerationSizeMb: DEFAULT_MEMORY_LIMIT_MB });
    const task = {
      source: { ...source, map: '' },
      scenarioIndex: subject.origin.index,
      options: scenarioOptions,
      image,
      buffers: words.buffers,
      setup,
      tracing: options.tracing ?? false,
      watchers: availableParallelism() - 1,
    };
    this.threads = this.machine.programs.map((_, actor) => new ProgramThread(pool, { ...task, actor }, words));
  }

  /**
   * Executes one schedule, from the machine's start of day. One at a time.
   * @throws Error after an execution that ended a thread, or was aborted, when the session is closed, or while another
   * execution runs
   */
  async run(schedule: LockstepSchedule, options: ExecutionOptions = {}): Promise<LockstepResult> {
    if (!this.usable) throw new Error('this lockstep session has ended: open another');
    if (this.running) throw new Error('a lockstep session executes one schedule at a time');
    options.signal?.throwIfAborted();
    this.running = true;
    try {
      this.begin(schedule, options.expected ?? []);
      const departures = await this.watchOver(options.signal);
      options.signal?.throwIfAborted();
      if (this.closing !== undefined) throw new Error('the lockstep session was closed during an execution');
      return this.conclude(departures);
    } finally {
      this.running = false;
    }
  }

  /** Ends the threads' part in this session; they stay warm for another. Resolves when they have left. */
  close(): Promise<void> {
    this.closing ??= this.leave();
    return this.closing;
  }

  private begin({ actors, choices }: LockstepSchedule, expected: readonly LockstepStep[]): void {
    const { words, machine } = this;
    for (const [index, { buffer }] of machine.regions.entries()) {
      new Uint8Array(buffer).set(this.start[index] as Uint8Array);
    }
    words.begin(actors, choices, this.startNs);
    words.expect(expectedEvents(expected));
    this.executions++;
    Atomics.store(words.words, EXECUTION, this.executions);
    Atomics.notify(words.words, EXECUTION);
  }

  /** Waits until every thread has left the execution, and sees to it that they do. */
  private async watchOver(signal: AbortSignal | undefined): Promise<Departures> {
    const { threads, words } = this;
    const stall = new StallWatch(words, this.stallMs);
    let overAtMs: number | undefined;
    let firstLost = -1;
    const stop = (): void => {
      overAtMs ??= performance.now();
      this.usable = false;
      this.baton.end();
    };
    const look = setInterval(() => {
      if (words.outcome !== Outcome.NONE) overAtMs ??= performance.now();
      if (overAtMs === undefined) {
        for (const actor of stall.look()) {
          stop();
          threads[actor]?.terminate();
        }
      } else if (performance.now() - overAtMs > GRACE_MS) {
        for (const thread of threads) if (thread.busy) thread.terminate();
      }
    }, LOOK_INTERVAL_MS);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const reports = threads.map(async (thread, actor) => {
        const outcome = await thread.report();
        if (!('lost' in outcome)) return outcome;
        if (firstLost < 0) firstLost = actor;
        stop();
        return { lost: outcome.lost };
      });
      return { outcomes: await Promise.all(reports), firstLost, stalled: [...stall.culprits] };
    } finally {
      clearInterval(look);
      signal?.removeEventListener('abort', stop);
    }
  }

  private conclude(departures: Departures): LockstepResult {
    const { machine, words } = this;
    const reports = departures.outcomes.map((outcome) => ('lost' in outcome ? NO_REPORT : outcome));
    // All this is read before the check writes anything.
    const steps = stepsOfWords(words);
    const regions = machine.regions.map(({ region }) => region);
    const memory = this.copyMemory().map((bytes, index) => ({ region: regions[index] as Region, bytes }));
    const loss = this.explainLoss(departures);
    const verdict = loss === undefined ? verdictOf(machine, reports) : { failure: loss, divergedAt: -1 };
    return {
      ...verdict,
      steps,
      memory,
      results: reports.map(({ value }) => value),
      covered: [...new Set(reports.flatMap(({ covered }) => covered))].sort(),
      marks: reports.map(({ marks }) => marks),
      switches: words.switches,
      elapsedNs: words.elapsedNs,
    };
  }

  /** Why the execution has no outcome of its own; undefined if it has. */
  private explainLoss({ outcomes, firstLost, stalled }: Departures): EngineFailure | undefined {
    const { machine, words } = this;
    const lost = outcomes[firstLost];
    if (lost === undefined || !('lost' in lost)) return undefined;
    const [stuck] = stalled;
    if (stuck !== undefined) {
      const seconds = this.stallMs / 1000;
      const what = `has made no step for ${seconds} s: a loop without an access, a hypercall or vcpu.relax()`;
      return { kind: 'livelock', message: `${machine.actorName(stuck)} ${what}`, actor: stuck };
    }
    if (words.outcome === Outcome.NONE) {
      const message = `${machine.actorName(firstLost)}: its thread ended: ${lost.lost.message}`;
      return { kind: 'crash', message, actor: firstLost };
    }
    // A thread that did not leave when all was over does no harm, unless it alone knows why it failed.
    const actor = words.outcomeActor;
    const teller = outcomes[actor];
    if (words.outcome !== Outcome.FAILED || teller === undefined || !('lost' in teller)) return undefined;
    const message = `${machine.actorName(actor)} swallowed the exception by which the engine ends it: a catch without rethrow`;
    return { kind: 'nondeterminism', message, actor };
  }

  private async leave(): Promise<void> {
    const { words } = this.words;
    this.usable = false;
    Atomics.store(words, EXECUTION, CLOSED);
    Atomics.notify(words, EXECUTION);
    this.baton.end();
    const pressOn = setTimeout(() => {
      for (const thread of this.threads) thread.terminate();
    }, CLOSE_GRACE_MS);
    await Promise.all(this.threads.map(({ gone }) => gone));
    clearTimeout(pressOn);
  }

  private copyMemory(): Uint8Array[] {
    return this.machine.regions.map(({ buffer }) => new Uint8Array(buffer).slice());
  }
}
