/**
 * One program of a machine (vCPU, device, timer hardware) on its own worker thread: waits for an execution to begin, runs
 * the program through it, reports how it left, until the session is closed.
 *
 * Everything is built once per session; what an execution changes lies in shared memory, and the main thread puts it back
 * before the next.
 */
import { format } from 'node:util';
import { type MessagePort, threadId } from 'node:worker_threads';
import type { MachineImage } from '../../hypervisor/image';
import type { FailureKind } from '../inline/failure';
import { type MachineSetup, type MarkKind, StepMachine } from '../inline/step-machine';
import { type MachinePlan, planMachine, type ScenarioOptions } from '../machine-plan';
import { evaluateScenario, type ScenarioSource } from '../scenario-source';
import { threadEntryPoints } from '../threads/thread-entry-points';
import { Baton } from './baton';
import { LockstepEngine, type ProgramEnd } from './lockstep-engine';
import { LockstepState } from './lockstep-state';
import { ScheduleFollower } from './schedule-follower';
import { EXECUTION, type LockstepBuffers, SharedWords } from './shared-words';

/** Structured-clonable, but for the port, which is transferred. */
export interface LockstepTask {
  readonly source: ScenarioSource;
  readonly scenarioIndex: number;
  readonly options: ScenarioOptions;
  readonly image: MachineImage;
  readonly buffers: LockstepBuffers;
  readonly setup: Pick<MachineSetup, 'memoryModel' | 'maxSteps' | 'seed' | 'hardwareSteps'>;
  /** Reports say what happened between steps. */
  readonly tracing: boolean;
  /** Of the program. */
  readonly actor: number;
  /** Threads that may watch for the baton at a time. */
  readonly watchers: number;
  readonly port: MessagePort;
}

/** Something that happened between a program's steps; `position` is the number of steps before it. */
export interface LockstepMark {
  readonly position: number;
  readonly kind: MarkKind;
  readonly text: string;
}

/** What a thread tells at the end of an execution. */
export interface ProgramReport {
  readonly execution: number;
  readonly value?: unknown;
  readonly failure?: { readonly kind: FailureKind; readonly message: string };
  readonly covered: readonly string[];
  readonly marks: readonly LockstepMark[];
}

class LockstepThread {
  private readonly words: SharedWords;
  private readonly machine: StepMachine<LockstepEngine>;
  private covered = new Set<string>();
  private marks: LockstepMark[] = [];

  constructor(private readonly task: LockstepTask) {
    const { actor, setup, image } = task;
    this.machine = new StepMachine(
      planOf(task),
      { ...setup, onCover: (label) => void this.covered.add(label), tracer: task.tracing ? this.tracer() : undefined },
      image,
      (machine) => makeEngine(task, machine),
    );
    this.words = new SharedWords(task.buffers);
    this.words.setThread(actor, threadId);
  }

  /** Runs executions until the session is closed. */
  serve(): void {
    for (let execution = 1; this.awaitExecution(execution); execution++) {
      this.covered = new Set();
      this.marks = [];
      const { engine, programs } = this.machine;
      const program = programs[this.task.actor];
      if (program === undefined) throw new RangeError(`no program ${this.task.actor}`);
      const end = engine.run(() => requireData(program.run()));
      this.task.port.postMessage(this.report(execution, end));
    }
    this.task.port.close();
  }

  private awaitExecution(wanted: number): boolean {
    const { words } = this.words;
    for (;;) {
      const current = Atomics.load(words, EXECUTION);
      if (current < 0) return false;
      if (current >= wanted) return true;
      Atomics.wait(words, EXECUTION, current);
    }
  }

  private report(execution: number, { value, failure }: ProgramEnd): ProgramReport {
    return {
      execution,
      value,
      ...(failure === undefined ? {} : { failure: { kind: failure.kind, message: failure.message } }),
      covered: [...this.covered],
      marks: this.marks,
    };
  }

  private tracer(): MachineSetup['tracer'] {
    return {
      mark: (_actor, position, kind, text) => void this.marks.push({ position, kind, text }),
      location() {},
    };
  }
}

function planOf({ source, scenarioIndex, options }: LockstepTask): MachinePlan {
  return planMachine(evaluateScenario(source, { index: scenarioIndex, entryPoints: threadEntryPoints }), options);
}

function makeEngine(task: LockstepTask, { regions, programs }: StepMachine<LockstepEngine>): LockstepEngine {
  const { actor, buffers, setup, watchers } = task;
  const tso = setup.memoryModel === 'tso';
  const state = new LockstepState(buffers, regions, tso);
  let daemons = 0;
  let hardware = 0;
  for (const [program, { daemon }] of programs.entries()) {
    if (daemon !== undefined) daemons |= 1 << program;
    if (daemon === 'hardware') hardware |= 1 << program;
  }
  const follower = new ScheduleFollower(state.words, state.guards, state.executor, { daemons, hardware }, tso);
  const counts = ((daemons >>> actor) & 1) === 0;
  return new LockstepEngine(actor, counts, state, new Baton(state.words, watchers), follower);
}

/** What a guest returns is sent to the main thread. */
function requireData(value: unknown): unknown {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function') || value instanceof Promise) {
    return value;
  }
  try {
    return structuredClone(value);
  } catch {
    throw new TypeError(`the guest function returned ${format('%o', value)}: return plain data`);
  }
}

/** Runs one program of a session. The task of a worker thread. */
export function runLockstepProgram(task: LockstepTask): void {
  new LockstepThread(task).serve();
}
