/**
 * The trace of one execution: every step with the names of what it touched, old and new values, marks between steps
 * (hypercalls, upcalls, lines logged), who was preempted, went to sleep or was woken, and who waits for what at the end.
 * The input of every report. What it consists of is in trace-format.ts.
 */
import type { EngineFailure } from '../engine/inline/inline-engine';
import { InlineMachine, type MachineSetup, type MarkKind } from '../engine/inline/inline-machine';
import { LOG_EXTRA, LOG_OPERAND, LOG_RESULT, RECORD } from '../engine/inline/operation-log';
import { ACCESS, isBracket, KIND_BITS, KIND_MASK, NARROW, Op, opName, WRITES } from '../engine/inline/ops';
import { BUNDLE_SCHEME, mapStack } from '../engine/scenario-source';
import type { DomainSnapshot } from '../engine/snapshot/schema';
import { DEFAULT_WATCHDOG_MS, endless, OutOfTime, withinTime } from './guest-time';
import { MachineNames } from './machine-names';
import { stateOf } from './machine-state';
import type { Schedule } from './schedule';
import { ScriptStrategy, type ScriptWatcher } from './script';
import type { Subject } from './subject';
import {
  type ActorKind,
  TRACE_VERSION,
  type Trace,
  type TraceFailure,
  type TraceMark,
  type TraceStep,
  type TraceTurn,
  type TraceWait,
} from './trace-format';
import { InitialMemory } from './trace-memory';
import { Waits } from './waits';

export type * from './trace-format';

export interface TracedExecution {
  readonly trace: Trace;
  readonly failure: EngineFailure | null;
  /** Step at which the schedule could not be followed; -1 if it could. */
  readonly divergedAt: number;
  /** What each program returned. */
  readonly results: readonly unknown[];
  readonly preemptions: number;
  /** The machine when a failed execution was done. */
  readonly domains: readonly DomainSnapshot[];
}

export interface TraceLimits extends Pick<MachineSetup, 'maxSteps' | 'hardwareSteps'> {
  /** How long the execution may take (ms), 0: no limit. Default 10,000. */
  readonly watchdogMs?: number;
}

/** Executes one schedule and records everything about it. */
export function traceSchedule(subject: Subject, schedule: Schedule, limits: TraceLimits): TracedExecution {
  const { watchdogMs = DEFAULT_WATCHDOG_MS, ...setup } = limits;
  const notes = new Notes(subject);
  const machine = new InlineMachine(subject.plan, {
    ...setup,
    memoryModel: schedule.memoryModel,
    hypercalls: schedule.hypercalls,
    dataRaces: schedule.dataRaces,
    seed: schedule.seed,
    tracer: notes,
  });
  const names = new MachineNames(subject.plan, machine);
  const waits = new Waits(subject.plan, machine, names);
  const memory = new InitialMemory(subject.plan, machine);
  const recorder = new Recorder(machine, names, notes, waits, memory);
  const script = new ScriptStrategy(schedule.actors, schedule.choices, true, recorder);
  let failure: EngineFailure | null = null;
  let results: unknown[] = [];
  let waiting: readonly TraceWait[] = [];
  let domains: readonly DomainSnapshot[] = [];
  const { state } = machine.engine;
  const execute = () =>
    machine.engine.explore(script, {
      executionDone(found) {
        recorder.finish();
        failure = found && nameRace(found, recorder.steps, machine);
        waiting = waits.all();
        if (found !== null) domains = stateOf(machine);
        results = machine.programs.map((_, actor) => ((state.done >>> actor) & 1 ? state.endValue(actor) : undefined));
        return true;
      },
    });
  try {
    withinTime(() => withStackLimit(STACK_FRAMES, execute), watchdogMs);
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    const actor = machine.engine.runningProgram;
    const who = actor < 0 ? "the scenario's check" : machine.actorName(actor);
    failure = { kind: 'livelock', message: endless(who, watchdogMs), actor };
    domains = stateOf(machine);
    memory.executed();
  }
  const trace: Trace = {
    version: TRACE_VERSION,
    scenario: subject.plan.scenario.name,
    memoryModel: schedule.memoryModel,
    actors: Array.from({ length: state.actors }, (_, actor) => machine.actorName(actor)),
    actorKinds: Array.from({ length: state.actors }, (_, actor) => actorKind(machine, actor)),
    steps: recorder.steps,
    lastMarks: recorder.lastMarks(),
    waits: waiting,
    failure: failure && describeFailure(failure, notes),
    memory: memory.finish(),
  };
  return { trace, failure, divergedAt: script.divergedAt, results, preemptions: recorder.preemptions, domains };
}

function actorKind(machine: InlineMachine, actor: number): ActorKind {
  const { programs, vcpuCount, engine } = machine;
  if (actor < vcpuCount) return 'vcpu';
  if (actor < programs.length) return actor === programs.length - 1 ? 'timer' : 'device';
  return actor === engine.state.time ? 'time' : 'buffer';
}

/** A data race told by names and places of both accesses. */
function nameRace(failure: EngineFailure, steps: readonly TraceStep[], machine: InlineMachine): EngineFailure {
  const first = steps[failure.race?.first ?? -1];
  const second = steps[failure.race?.second ?? -1];
  if (first === undefined || second === undefined) return failure;
  const tell = ({ actor, op, name, location }: TraceStep): string => {
    const place = location === undefined ? '' : ` (${location})`;
    return `${machine.actorName(actor)} ${op.startsWith('write') ? 'writes' : 'reads'} ${name}${place}`;
  };
  return { ...failure, message: `${tell(first)}, ${tell(second)}, and nothing orders the two` };
}

/** Frames of a stack in which the user's own is looked for: hypercalls are deep. */
const STACK_FRAMES = 60;

function withStackLimit(frames: number, run: () => void): void {
  const kept = Error.stackTraceLimit;
  Error.stackTraceLimit = frames;
  try {
    run();
  } finally {
    Error.stackTraceLimit = kept;
  }
}

function describeFailure({ kind, message, actor, error, race }: EngineFailure, notes: Notes): TraceFailure {
  const location = error instanceof Error ? notes.placeIn(error.stack ?? '') : undefined;
  return {
    kind,
    message,
    ...(actor < 0 ? {} : { actor }),
    ...(location === undefined ? {} : { location }),
    ...(race === undefined ? {} : { race: [race.first, race.second] }),
  };
}

/** What programs tell while they run: marks and places, by actor and number of its steps so far. */
class Notes {
  private readonly marks = new Map<string, TraceMark[]>();
  private readonly places = new Map<string, string>();

  private readonly known = new Map<string, string | undefined>();

  constructor(private readonly subject: Subject) {}

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
    return stack === undefined ? undefined : this.placeIn(stack);
  }

  /** The innermost frame of the user's, as `file.ts:12`. */
  placeIn(stack: string): string | undefined {
    const { source, plan } = this.subject;
    const file = source === undefined ? plan.scenario.origin.file : BUNDLE_SCHEME;
    if (file === undefined) return undefined;
    for (const frame of stack.split('\n')) {
      // Below lies another program, which has been put on hold.
      if (frame.includes('InlineEngine.run ')) return undefined;
      if (frame.includes(file)) return this.placeOfFrame(frame);
    }
    return undefined;
  }

  private placeOfFrame(frame: string): string | undefined {
    if (this.known.has(frame)) return this.known.get(frame);
    const { source } = this.subject;
    const mapped = source === undefined ? frame : mapStack(source, frame);
    const place = /([^/\\(]+:\d+):\d+\)?$/.exec(mapped)?.[1];
    this.known.set(frame, place);
    return place;
  }
}

/** Turns events into steps as they are executed. */
class Recorder implements ScriptWatcher {
  readonly steps: TraceStep[] = [];
  preemptions = 0;
  private enabled = 0;
  /** Actors that could go on before the last step; unknown before the first. */
  private runnable = -1;
  /** Marks at operations that are no steps, for the actor's next step. */
  private readonly carried = new Map<number, readonly TraceMark[]>();
  /** First step of each event. */
  private readonly stepOf: number[] = [];
  private readonly state;

  constructor(
    private readonly machine: InlineMachine,
    private readonly names: MachineNames,
    private readonly notes: Notes,
    private readonly waits: Waits,
    private readonly memory: InitialMemory,
  ) {
    this.state = machine.engine.state;
  }

  before(enabled: number): void {
    this.noteTurns(enabled);
    this.enabled = enabled;
  }

  /** The execution is over. */
  finish(): void {
    this.noteTurns(this.state.enabled());
    this.memory.executed();
  }

  /** Tells the last step who cannot go on since, or can again. */
  private noteTurns(enabled: number): void {
    const { state, machine, waits } = this;
    const last = this.steps.at(-1);
    const changed = last === undefined ? 0 : (this.runnable ^ enabled) & ~state.done;
    this.runnable = enabled;
    const turns: TraceTurn[] = [];
    for (let actor = 0; actor < machine.vcpuCount; actor++) {
      if (((changed >>> actor) & 1) === 0) continue;
      const asleep = ((enabled >>> actor) & 1) === 0;
      const text = asleep ? waits.of(actor).text : `woken by ${machine.actorName(last?.actor ?? actor)}`;
      turns.push({ actor, kind: asleep ? 'sleep' : 'wake', text });
    }
    if (last !== undefined && turns.length > 0) this.steps[this.steps.length - 1] = { ...last, turns };
  }

  after(): void {
    const { state } = this;
    const event = state.depth - 1;
    const actor = state.evActor[event] as number;
    const last = event > 0 ? (state.evActor[event - 1] as number) : actor;
    const preempted = last !== actor && ((this.enabled >>> last) & 1) !== 0;
    if (preempted) this.preemptions++;
    const from = state.evFirst[event] as number;
    this.stepOf[event] = this.steps.length;
    for (let position = from; position < state.endOf(event); position++) {
      this.push(event, actor, position, position === from && preempted ? last : -1);
    }
  }

  private push(event: number, actor: number, position: number, preempted: number): void {
    const { state } = this;
    const log = state.logs[actor] as Int32Array;
    const at = position * RECORD;
    const kind = (log[at] as number) & KIND_MASK;
    const marks = [...(this.carried.get(actor) ?? []), ...this.notes.marksAt(actor, position)];
    this.carried.delete(actor);
    if (isBracket(kind)) {
      this.carried.set(actor, marks);
      return;
    }
    const address = (log[at] as number) >>> KIND_BITS;
    const operand = log[at + LOG_OPERAND] as number;
    const word = state.wordBefore(event, position, address >> 2);
    const before = this.valueAt(kind, address, word);
    const after = this.valueAt(kind, address, state.wordBefore(event, position + 1, address >> 2));
    const changed = address !== 0 && ACCESS[kind] === WRITES && before !== after;
    const location = this.notes.placeOf(actor, position);
    const flushes = kind === Op.FLUSH8 || kind === Op.FLUSH32;
    if (address !== 0) this.memory.touched(address, word);
    this.steps.push({
      actor,
      op: opName(kind),
      ...(address === 0 ? {} : { name: this.names.describe(address, concerned(kind, operand)), address }),
      operand,
      ...(changed ? { before, after } : {}),
      result: log[at + LOG_RESULT] as number,
      marks,
      ...(location === undefined ? {} : { location }),
      ...(preempted < 0 ? {} : { preempted }),
      ...(flushes ? { stored: this.stepOf[log[at + LOG_EXTRA] as number] } : {}),
    });
  }

  lastMarks(): Record<number, readonly TraceMark[]> {
    const last: Record<number, readonly TraceMark[]> = {};
    for (let actor = 0; actor < this.state.actors; actor++) {
      const marks = [...(this.carried.get(actor) ?? []), ...this.notes.marksAt(actor, this.state.pos[actor] as number)];
      if (marks.length > 0) last[actor] = marks;
    }
    return last;
  }

  private valueAt(kind: number, address: number, word: number): number {
    return NARROW[kind] === 1 ? (word >>> ((address & 3) * 8)) & 0xff : word;
  }
}

/** The bits a bit operation concerns; 0 for other steps. */
export function concerned(kind: number, operand: number): number {
  if (kind === Op.OR32 || kind === Op.OR8 || kind === Op.XOR32 || kind === Op.XOR8) return operand;
  if (kind === Op.AND32) return ~operand;
  return kind === Op.AND8 ? ~operand & 0xff : 0;
}
