/**
 * What free-running threads recorded as a trace: the logs of all threads merged, every access with its name and the old and the
 * new value, and the memory it began with.
 *
 * Order. A thread's own records are in order. Between threads the stamps (times, or ticks of the log's clock) are taken before the
 * access, and a thread may be held up in between; so of the records that could come next the first is taken whose result is
 * what memory holds by then. One that has waited for long is taken as it is, and so is one that nothing follows soon.
 */

import { ACCESS, ENGINE_BYTES, NARROW, Op, opName, READS } from '../engine/inline/ops';
import { layOutRegions, type RegionPlace } from '../engine/inline/regions';
import type { MachinePlan } from '../engine/machine-plan';
import {
  hypercallNumber,
  type LoggedAccess,
  LogKind,
  type RecordedThread,
  type Recording,
  type ThreadLog,
} from '../engine/threads';
import { hypercallNames } from '../hypervisor/hypercall-names';
import { MachineNames, type TracedMachine } from './machine-names';
import { MemoryShadow, newValue } from './memory-shadow';
import { concerned } from './trace';
import {
  TRACE_VERSION,
  type Trace,
  type TraceFailure,
  type TraceMark,
  type TraceStep,
  type TraceTurn,
  type TraceWait,
} from './trace-format';
import { InitialMemory } from './trace-memory';

/** So many steps of others may come before a record that has the lower stamp and does not fit, if they are so near. */
const PATIENCE = 32;
const NEAR_NS = 1_000_000;
const NEAR_TICKS = 64;

/** What was recorded, and on what machine. */
export interface RecordedMachine extends Omit<Recording, 'hypervisor'>, TracedMachine {
  readonly timed: boolean;
}

/** A recorded run. */
export function traceRecording(recording: Recording, failure: TraceFailure | null): Trace {
  const { hypervisor } = recording;
  const regions = layOutRegions(hypervisor.image);
  return traceRecorded({ ...recording, regions, engine: { peek32: peekInto(regions) }, timed: true }, failure);
}

export function traceRecorded(machine: RecordedMachine, failure: TraceFailure | null): Trace {
  return new Merger(machine).trace(failure);
}

function peekInto(regions: readonly RegionPlace[]): (address: number) => number {
  const words = regions.map(({ buffer }) => new Int32Array(buffer));
  return (address) => {
    const at = address - ENGINE_BYTES;
    const index = regions.findIndex(({ base, bytes }) => at >= base && at < base + bytes);
    return words[index]?.[(at - (regions[index]?.base ?? 0)) >> 2] ?? 0;
  };
}

/** A thread's log while it is read. */
interface Reader {
  readonly actor: number;
  readonly log: ThreadLog;
  next: number;
  /** Steps of others taken although this one's stamp was lower. */
  passedOver: number;
  /** Marks for its next step. */
  marks: TraceMark[];
  /** Hypercalls and upcalls it is inside of. */
  readonly inside: string[];
  asleep: string | undefined;
  ended: boolean;
  lastStep: number;
}

const HYPERCALLS: ReadonlyMap<number, string> = new Map(hypercallNames().map((name) => [hypercallNumber(name), name]));

class Merger {
  private readonly steps: TraceStep[] = [];
  private readonly readers: readonly Reader[];
  private readonly threads: readonly RecordedThread[];
  private readonly names: MachineNames;
  private readonly known = new Map<string, string>();
  private readonly memory: InitialMemory;
  private readonly shadow: MemoryShadow;
  /** By vCPU: who has woken it, in which step. */
  private readonly wakers = new Map<number, { readonly step: number; readonly actor: number }>();

  constructor(private readonly machine: RecordedMachine) {
    const { plan, logs, threads } = machine;
    const startOfDay = onceEach(machine.startOfDay);
    this.threads = threads;
    this.names = new MachineNames(plan, machine);
    this.memory = new InitialMemory(plan, machine, (region, at) =>
      new DataView(startOfDay(region).buffer).getInt32(at, true),
    );
    this.shadow = new MemoryShadow(
      plan.domains.length * 2,
      startOfDay,
      logs.every(({ missing }) => missing === 0),
    );
    this.readers = logs.map(
      (log, actor): Reader => ({
        ...{ actor, log, next: 0, passedOver: 0, marks: [], inside: [] },
        ...{ asleep: undefined, ended: false, lastStep: -1 },
      }),
    );
  }

  trace(failure: TraceFailure | null): Trace {
    for (let reader = this.choose(); reader !== undefined; reader = this.choose()) {
      this.take(reader, reader.log.accesses[reader.next++] as LoggedAccess);
    }
    const { plan, timed } = this.machine;
    this.memory.executed();
    return {
      version: TRACE_VERSION,
      scenario: plan.scenario.name,
      memoryModel: 'threads',
      actors: this.threads.map(({ name }) => name),
      actorKinds: this.threads.map(({ kind }) => kind),
      steps: this.steps,
      lastMarks: Object.fromEntries(
        this.readers.flatMap(({ actor, marks }) => (marks.length > 0 ? [[actor, marks]] : [])),
      ),
      waits: this.readers.flatMap((reader) => this.waitOf(reader)),
      failure,
      memory: this.memory.finish(),
      recorded: { missing: this.readers.map(({ log }) => log.missing), timed },
    };
  }

  /** Whose record comes next. */
  private choose(): Reader | undefined {
    const waiting = this.readers.filter(({ next, log }) => next < log.accesses.length);
    waiting.sort((a, b) => this.stampOf(a) - this.stampOf(b));
    const [first] = waiting;
    if (first === undefined || first.passedOver >= PATIENCE) return first;
    const near = this.stampOf(first) + (this.machine.timed ? NEAR_NS : NEAR_TICKS);
    const fitting = waiting.find((reader) => this.stampOf(reader) <= near && this.fits(reader)) ?? first;
    for (const reader of waiting) {
      if (reader === fitting) break;
      reader.passedOver++;
    }
    fitting.passedOver = 0;
    return fitting;
  }

  private stampOf({ log, next }: Reader): number {
    const { timeNs, tick } = log.accesses[next] as LoggedAccess;
    return this.machine.timed ? timeNs : tick;
  }

  private fits({ log, next }: Reader): boolean {
    const { kind, address, region, result } = log.accesses[next] as LoggedAccess;
    if (kind > Op.CAS32 || !looks(kind)) return true;
    const value = this.shadow.value(region, address, NARROW[kind] === 1);
    return value === undefined || value === result;
  }

  private take(reader: Reader, access: LoggedAccess): void {
    const { kind, operand, timeNs } = access;
    const { actor, inside } = reader;
    switch (kind) {
      case LogKind.HYPERCALL:
        this.enter(reader, 'hypercall', HYPERCALLS.get(operand) ?? 'hypercall', timeNs);
        break;
      case LogKind.UPCALL:
        this.enter(reader, 'upcall', 'upcall', timeNs);
        break;
      case LogKind.HYPERCALL_END:
        this.leave(reader, 'hypercall-end', timeNs);
        break;
      case LogKind.UPCALL_END:
        this.leave(reader, 'upcall-end', timeNs);
        break;
      case LogKind.TEXT:
        this.mark(reader, 'log', access.text ?? '(a line that was not kept)', timeNs);
        break;
      case LogKind.SLEEP:
        reader.asleep = this.threads[actor]?.kind === 'device' ? 'sleeps' : `asleep in ${inside.at(-1) ?? 'wait32'}`;
        this.turn({ actor, kind: 'sleep', text: reader.asleep }, timeNs);
        break;
      case LogKind.WAKE:
        this.wake(reader, timeNs);
        break;
      case LogKind.WOKEN:
        this.wakers.set(operand, { step: reader.lastStep, actor });
        break;
      case LogKind.END:
        reader.ended = true;
        break;
      case LogKind.RAISED:
      case LogKind.KICKED:
      case LogKind.ASIDE:
        break;
      default:
        this.step(reader, access);
    }
  }

  private enter(reader: Reader, kind: 'hypercall' | 'upcall', text: string, timeNs: number): void {
    reader.inside.push(text);
    this.mark(reader, kind, text, timeNs);
  }

  /** What it left before the log begins is not told. */
  private leave(reader: Reader, kind: 'hypercall-end' | 'upcall-end', timeNs: number): void {
    const text = reader.inside.pop();
    if (text !== undefined) this.mark(reader, kind, text, timeNs);
  }

  private mark({ marks }: Reader, kind: TraceMark['kind'], text: string, timeNs: number): void {
    marks.push({ kind, text, ...this.at(timeNs) });
  }

  private wake(reader: Reader, timeNs: number): void {
    const { actor } = reader;
    const waker = this.wakers.get(actor);
    this.wakers.delete(actor);
    reader.asleep = undefined;
    const by = waker === undefined ? {} : { cause: waker.step };
    const text = waker === undefined ? 'goes on' : `woken by ${this.threads[waker.actor]?.name}`;
    this.turn({ actor, kind: 'wake', text, ...(waker !== undefined && waker.step >= 0 ? by : {}) }, timeNs);
  }

  /** Told with the last step of anyone. */
  private turn(turn: TraceTurn, timeNs: number): void {
    const last = this.steps.at(-1);
    if (last === undefined) return;
    const turns = [...(last.turns ?? []), { ...turn, ...this.at(timeNs) }];
    this.steps[this.steps.length - 1] = { ...last, turns };
  }

  private step(reader: Reader, access: LoggedAccess): void {
    const { kind, operand, result, count, timeNs, address: offset, region } = access;
    const placed = hasPlace(kind);
    const address = placed ? ENGINE_BYTES + (this.machine.regions[region] as RegionPlace).base + offset : 0;
    const narrow = NARROW[kind] === 1;
    const before = looks(kind) ? result : placed ? this.shadow.value(region, offset, narrow) : undefined;
    const after = placed ? newValue(access, before ?? 0) : 0;
    const changed = placed && kind <= Op.CAS32 && ACCESS[kind] !== READS && before !== after;
    if (placed && kind <= Op.CAS32) {
      if (before !== undefined) this.memory.touched(address, this.shadow.wordWith(region, offset, narrow, before));
      this.shadow.set(region, offset, narrow, after);
    }
    const { actor, marks } = reader;
    reader.marks = [];
    reader.lastStep = this.steps.length;
    this.steps.push({
      actor,
      op: opName(kind),
      ...(placed ? { name: this.nameOf(address, concerned(kind, operand)), address } : {}),
      operand,
      ...(changed ? { ...(before === undefined ? {} : { before }), after } : {}),
      result,
      marks,
      ...(count > 1 ? { count } : {}),
      ...this.at(timeNs),
    });
  }

  private nameOf(address: number, bits: number): string {
    const key = `${address} ${bits}`;
    let name = this.known.get(key);
    if (name === undefined) {
      name = this.names.describe(address, bits);
      this.known.set(key, name);
    }
    return name;
  }

  private at(timeNs: number): { timeNs?: number } {
    return this.machine.timed ? { timeNs } : {};
  }

  private waitOf({ actor, asleep, ended }: Reader): TraceWait[] {
    return asleep === undefined || ended || this.threads[actor]?.kind !== 'vcpu' ? [] : [{ actor, text: asleep }];
  }
}

/** A region's bytes are asked for by the word, and made as a whole. */
function onceEach(startOfDay: (region: number) => Uint8Array): (region: number) => Uint8Array {
  const made = new Map<number, Uint8Array>();
  return (region) => {
    const bytes = made.get(region) ?? startOfDay(region);
    made.set(region, bytes);
    return bytes;
  };
}

/** Whether the result of an access is what memory held. */
function looks(kind: number): boolean {
  return !STORES.includes(kind);
}

const STORES: readonly number[] = [Op.WRITE8, Op.WRITE32, Op.STORE8, Op.STORE32];

function hasPlace(kind: number): boolean {
  return kind <= Op.CAS32 || kind === Op.WAIT || kind === Op.WAIT_END || kind === Op.NOTIFY;
}

/** A machine of stress, whose logs hold what guests did alone; its memory at start of day is that of an engine. */
export function stressedMachine(
  plan: MachinePlan,
  machine: TracedMachine,
  logs: readonly ThreadLog[],
): RecordedMachine {
  const several = plan.domains.length > 1;
  const threads = plan.domains.flatMap(({ name, config }) =>
    Array.from({ length: config.vcpus }, (_, vcpu): RecordedThread => {
      return { name: `${several ? `${name}/` : ''}vCPU ${vcpu}`, kind: 'vcpu' };
    }),
  );
  const startOfDay = (region: number): Uint8Array => {
    const { base, bytes } = machine.regions[region] as RegionPlace;
    const words = Int32Array.from({ length: bytes >> 2 }, (_, i) => machine.engine.peek32(ENGINE_BYTES + base + i * 4));
    return new Uint8Array(words.buffer);
  };
  const { hypervisor, regions, engine } = machine;
  return { plan, hypervisor, regions, engine, threads, logs, startOfDay, timed: false };
}
