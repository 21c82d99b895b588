/**
 * The trace of one execution: every step with the names of what it touched, old and new values, and marks between steps
 * (hypercalls, upcalls, lines logged). The input of every report.
 *
 * Format version 1: an object as {@link Trace}; fields may be added, none changes its meaning.
 */
import type { EngineFailure } from '../engine/inline/inline-engine';
import { InlineMachine, type MachineSetup, type MarkKind } from '../engine/inline/inline-machine';
import { LOG_OPERAND, LOG_RESULT, RECORD } from '../engine/inline/machine-state';
import { ACCESS, KIND_BITS, KIND_MASK, NARROW, Op, opName, WRITES } from '../engine/inline/ops';
import { mapStack, type ScenarioSource } from '../engine/scenario-source';
import { MachineNames } from './machine-names';
import type { Schedule } from './schedule';
import { ScriptStrategy, type ScriptWatcher } from './script';
import type { Subject } from './subject';

export const TRACE_VERSION = 1;

/** Something that happens between an actor's steps. */
export interface TraceMark {
  readonly kind: MarkKind;
  readonly text: string;
}

export interface TraceStep {
  readonly actor: number;
  /** `add32`, `read_lock`, … */
  readonly op: string;
  /** What was touched: `shared_info.evtchn_pending[0] port 5`; absent for steps on no word. */
  readonly name?: string;
  readonly operand: number;
  /** The location before and after, if the step changed it. */
  readonly before?: number;
  readonly after?: number;
  readonly result: number;
  /** What happened on this actor since its step before. */
  readonly marks: readonly TraceMark[];
  /** Position in the user's file, if known. */
  readonly location?: string;
}

export interface Trace {
  readonly version: number;
  readonly scenario: string;
  readonly memoryModel: string;
  readonly actors: readonly string[];
  readonly steps: readonly TraceStep[];
  /** What happened after an actor's last step, by actor. */
  readonly lastMarks: Readonly<Record<number, readonly TraceMark[]>>;
}

export interface TracedExecution {
  readonly trace: Trace;
  readonly failure: EngineFailure | null;
  /** Step at which the schedule could not be followed; -1 if it could. */
  readonly divergedAt: number;
  /** What each program returned. */
  readonly results: readonly unknown[];
  readonly preemptions: number;
}

/** Executes one schedule and records everything about it. */
export function traceSchedule(
  subject: Subject,
  schedule: Schedule,
  setup: Pick<MachineSetup, 'maxSteps' | 'hardwareSteps'>,
): TracedExecution {
  const notes = new Notes(subject.source);
  const machine = new InlineMachine(subject.plan, {
    ...setup,
    memoryModel: schedule.memoryModel,
    seed: schedule.seed,
    tracer: notes,
  });
  const recorder = new Recorder(machine, new MachineNames(subject.plan, machine), notes);
  const script = new ScriptStrategy(schedule.actors, schedule.choices, true, recorder);
  let failure: EngineFailure | null = null;
  let results: unknown[] = [];
  const { state } = machine.engine;
  machine.engine.explore(script, {
    executionDone(found) {
      failure = found;
      results = machine.programs.map((_, actor) => ((state.done >>> actor) & 1 ? state.endValue(actor) : undefined));
      return true;
    },
  });
  const trace: Trace = {
    version: TRACE_VERSION,
    scenario: subject.plan.scenario.name,
    memoryModel: schedule.memoryModel,
    actors: Array.from({ length: state.actors }, (_, actor) => machine.actorName(actor)),
    steps: recorder.steps,
    lastMarks: recorder.lastMarks(),
  };
  return { trace, failure, divergedAt: script.divergedAt, results, preemptions: recorder.preemptions };
}

/** What programs tell while they run: marks and places, by actor and number of its steps so far. */
class Notes {
  private readonly marks = new Map<string, TraceMark[]>();
  private readonly places = new Map<string, string>();

  constructor(private readonly source: ScenarioSource | undefined) {}

  mark(actor: number, position: number, kind: MarkKind, text: string): void {
    const key = `${actor}.${position}`;
    const list = this.marks.get(key);
    if (list === undefined) this.marks.set(key, [{ kind, text }]);
    else list.push({ kind, text });
  }

  location(actor: number, position: number, stack: string): void {
    this.places.set(`${actor}.${position}`, stack);
  }

  marksAt(actor: number, position: number): readonly TraceMark[] {
    return this.marks.get(`${actor}.${position}`) ?? [];
  }

  placeOf(actor: number, position: number): string | undefined {
    const stack = this.places.get(`${actor}.${position}`);
    if (stack === undefined || this.source === undefined) return undefined;
    const { file } = this.source;
    const frame = mapStack(this.source, stack)
      .split('\n')
      .find((line) => line.includes(file));
    return frame === undefined ? undefined : /([^/\\(]+:\d+):\d+\)?$/.exec(frame)?.[1];
  }
}

/** Turns events into steps as they are executed. */
class Recorder implements ScriptWatcher {
  readonly steps: TraceStep[] = [];
  preemptions = 0;
  private enabled = 0;
  private readonly state;

  constructor(
    machine: InlineMachine,
    private readonly names: MachineNames,
    private readonly notes: Notes,
  ) {
    this.state = machine.engine.state;
  }

  before(enabled: number): void {
    this.enabled = enabled;
  }

  after(): void {
    const { state } = this;
    const event = state.depth - 1;
    const actor = state.evActor[event] as number;
    const last = event > 0 ? (state.evActor[event - 1] as number) : actor;
    if (last !== actor && ((this.enabled >>> last) & 1) !== 0) this.preemptions++;
    const position = (state.pos[actor] as number) - 1;
    const log = state.logs[actor] as Int32Array;
    const at = position * RECORD;
    const kind = (log[at] as number) & KIND_MASK;
    const address = (log[at] as number) >>> KIND_BITS;
    const operand = log[at + LOG_OPERAND] as number;
    const before = this.valueAt(kind, address, state.oldWord(event, address >> 2));
    const after = this.valueAt(kind, address, state.i32[address >> 2] as number);
    const changed = address !== 0 && ACCESS[kind] === WRITES && before !== after;
    const location = this.notes.placeOf(actor, position);
    this.steps.push({
      actor,
      op: opName(kind),
      ...(address === 0 ? {} : { name: this.names.describe(address, concerned(kind, operand)) }),
      operand,
      ...(changed ? { before, after } : {}),
      result: log[at + LOG_RESULT] as number,
      marks: this.notes.marksAt(actor, position),
      ...(location === undefined ? {} : { location }),
    });
  }

  lastMarks(): Record<number, readonly TraceMark[]> {
    const last: Record<number, readonly TraceMark[]> = {};
    for (let actor = 0; actor < this.state.actors; actor++) {
      const marks = this.notes.marksAt(actor, this.state.pos[actor] as number);
      if (marks.length > 0) last[actor] = marks;
    }
    return last;
  }

  private valueAt(kind: number, address: number, word: number): number {
    return NARROW[kind] === 1 ? (word >>> ((address & 3) * 8)) & 0xff : word;
  }
}

/** The bits a bit operation concerns; 0 for other steps. */
function concerned(kind: number, operand: number): number {
  if (kind === Op.OR32 || kind === Op.OR8 || kind === Op.XOR32 || kind === Op.XOR8) return operand;
  if (kind === Op.AND32) return ~operand;
  return kind === Op.AND8 ? ~operand & 0xff : 0;
}
