/**
 * The events of an execution under a deterministic engine, as the invariants look at them.
 *
 * Under TSO a plain store is no access; the flush that brings it to memory is, and counts as its vCPU's.
 */
import type { Region } from '../../hypervisor/hypervisor';
import type { Access, History } from '../invariants/history';
import type { MachineState } from './machine-state';
import { LOG_AFTER, LOG_EXPECTED, LOG_OPERAND, LOG_RESULT, LOG_TAG, RECORD } from './operation-log';
import {
  ACCESS,
  byteFoot,
  DRAINS,
  ENGINE_BYTES,
  FootLists,
  isBracket,
  KIND_BITS,
  KIND_MASK,
  NARROW,
  Op,
  READS,
  WRITES,
  wordFoot,
} from './ops';

/** Events as an engine has recorded them. */
export interface EventSource {
  readonly length: number;
  /** Actors from this number on are store buffers, under TSO, and time. */
  readonly programs: number;
  readonly tso: boolean;
  actor(event: number): number;
  /** Kind and address, see ops.ts. */
  tag(event: number): number;
  expected(event: number): number;
  result(event: number): number;
  /** The byte or word at the address before and after a step that changes it; of others anything. */
  before(event: number): number;
  after(event: number): number;
}

/** Where a region lies in the engine's address space. */
interface Place {
  readonly region: Region;
  readonly base: number;
  readonly bytes: number;
}

export class EventHistory implements History {
  readonly length: number;
  private readonly feet: Int32Array;
  /** Per event: its number among its actor's, from 0. */
  private readonly rank: Int32Array;
  /** Per flush: the event of the store. */
  private readonly storeOf: Int32Array;
  private readonly accesses: readonly (Access | undefined)[];
  /** One vector clock per event, made when somebody asks. */
  private clocks: Int32Array | undefined;
  private readonly width: number;

  /** @param nameOf - of an actor */
  constructor(
    private readonly events: EventSource,
    private readonly places: readonly Place[],
    private readonly nameOf: (actor: number) => string,
  ) {
    const { length, programs } = events;
    this.length = length;
    this.width = programs * 2 + 1;
    this.rank = new Int32Array(length);
    this.storeOf = new Int32Array(length).fill(-1);
    this.feet = Int32Array.from({ length }, (_, event) => this.footOf(event));
    this.accesses = Array.from({ length }, (_, event) => this.read(event));
    const made = new Int32Array(this.width);
    const stores: number[][] = Array.from({ length: this.width }, () => []);
    for (let event = 0; event < length; event++) {
      const actor = this.events.actor(event);
      this.rank[event] = made[actor] as number;
      made[actor] = (made[actor] as number) + 1;
      if (isPlainStore(this.kind(event))) stores[actor]?.push(event);
      if (isFlush(this.kind(event))) this.storeOf[event] = stores[actor - programs]?.shift() ?? -1;
    }
  }

  access(step: number): Access | undefined {
    return this.accesses[step];
  }

  actorName(step: number): string {
    return this.nameOf(this.programOf(step));
  }

  happensBefore(a: number, b: number): boolean {
    if (a >= b) return false;
    this.clocks ??= this.makeClocks();
    return (this.clocks[b * this.width + this.events.actor(a)] as number) > (this.rank[a] as number);
  }

  /** The actor of an event, the program itself for its store buffer. */
  private programOf(event: number): number {
    const actor = this.events.actor(event);
    return isFlush(this.kind(event)) ? actor - this.events.programs : actor;
  }

  private kind(event: number): number {
    return this.events.tag(event) & KIND_MASK;
  }

  private read(event: number): Access | undefined {
    const { events } = this;
    const kind = this.kind(event);
    const access = this.kindOfAccess(event, kind);
    const address = (events.tag(event) >>> KIND_BITS) - ENGINE_BYTES;
    const place = this.places.find(({ base, bytes }) => address >= base && address < base + bytes);
    if (access === undefined || place === undefined) return undefined;
    return {
      actor: this.programOf(event),
      kind: access,
      region: place.region,
      address: address - place.base,
      bytes: NARROW[kind] === 1 ? 1 : 4,
      before: access === 'read' ? events.result(event) : events.before(event),
      after: access === 'read' ? events.result(event) : events.after(event),
    };
  }

  /** Undefined for steps that are no access to memory. */
  private kindOfAccess(event: number, kind: number): Access['kind'] | undefined {
    if (kind === Op.READ8 || kind === Op.READ32 || kind === Op.LOAD8 || kind === Op.LOAD32) return 'read';
    if (isPlainStore(kind)) return this.events.tso ? undefined : 'write';
    if (kind === Op.STORE8 || kind === Op.STORE32 || isFlush(kind)) return 'write';
    if (this.failedExchange(event)) return 'read';
    return kind > Op.STORE8 && kind <= Op.CAS32 ? 'update' : undefined;
  }

  private failedExchange(event: number): boolean {
    const { events } = this;
    const kind = this.kind(event);
    if (kind === Op.CAS8) return events.result(event) !== (events.expected(event) & 0xff);
    return kind === Op.CAS32 && events.result(event) !== events.expected(event);
  }

  /** What an event touches; 0 for what nobody else can tell. */
  private footOf(event: number): number {
    const kind = this.kind(event);
    const address = this.events.tag(event) >>> KIND_BITS;
    if (isPlainStore(kind) && this.events.tso) return 0;
    // Masked, it depends on the mask alone; that it found nothing pending orders it before nothing of interest.
    if (kind === Op.WINDOW) {
      return this.events.result(event) === 0 ? byteFoot(address + 1, READS) : wordFoot(address, READS);
    }
    const access = this.failedExchange(event) ? READS : (ACCESS[kind] as number);
    if (access === 0) return 0;
    return NARROW[kind] === 1 ? byteFoot(address, access) : wordFoot(address, access);
  }

  /** Each event after those it depends on: the same actor's, and all with which it may not be swapped. */
  private makeClocks(): Int32Array {
    const { length, width, rank } = this;
    const clocks = new Int32Array(length * width);
    for (let event = 0; event < length; event++) {
      const row = event * width;
      for (let earlier = event - 1; earlier >= 0; earlier--) {
        const known = clocks[row + this.events.actor(earlier)] as number;
        if (known > (rank[earlier] as number) || !this.dependent(earlier, event)) continue;
        for (let i = 0; i < width; i++) {
          clocks[row + i] = Math.max(clocks[row + i] as number, clocks[earlier * width + i] as number);
        }
      }
      clocks[row + this.events.actor(event)] = (rank[event] as number) + 1;
    }
    return clocks;
  }

  private dependent(earlier: number, event: number): boolean {
    if (this.events.actor(earlier) === this.events.actor(event)) return true;
    if (this.kind(earlier) === Op.TICK || this.kind(event) === Op.TICK) return true;
    const feet = dependence.dependent(this.feet[earlier] as number, this.feet[event] as number);
    if (this.programOf(earlier) !== this.programOf(event)) return feet;
    // A program and its store buffer: a flush comes after its store, a step that drains the buffer after the flush, and
    // loads do not mind.
    if (this.storeOf[event] === earlier) return true;
    const step = isFlush(this.kind(event)) ? earlier : event;
    if (step === event && DRAINS[this.kind(event)] === 1) return true;
    return feet && ((this.feet[step] as number) & WRITES) !== 0;
  }
}

const dependence = new FootLists();

function isPlainStore(kind: number): boolean {
  return kind === Op.WRITE8 || kind === Op.WRITE32;
}

function isFlush(kind: number): boolean {
  return kind === Op.FLUSH8 || kind === Op.FLUSH32;
}

/** The execution that a state holds. Valid until it is taken back. */
export function eventsOfState(state: MachineState): EventSource {
  const { length, eventOf, record } = operationsOf(state);
  const actorOf = (operation: number): number => state.evActor[eventOf[operation] as number] as number;
  const slot = (operation: number, index: number): number => {
    const log = state.logs[actorOf(operation)] as Int32Array;
    return log[(record[operation] as number) * RECORD + index] as number;
  };
  const location = (event: number, word: number): number => {
    const tag = slot(event, LOG_TAG);
    return NARROW[tag & KIND_MASK] === 1 ? (word >>> (((tag >>> KIND_BITS) & 3) * 8)) & 0xff : word;
  };
  return {
    length,
    programs: state.programs,
    tso: state.tso,
    actor: actorOf,
    tag: (event) => slot(event, LOG_TAG),
    expected: (event) => slot(event, LOG_EXPECTED),
    result: (event) => slot(event, LOG_RESULT),
    before: (event) => {
      const word = (slot(event, LOG_TAG) >>> KIND_BITS) >> 2;
      return location(event, state.wordBefore(eventOf[event] as number, record[event] as number, word));
    },
    after: (event) => {
      const kind = slot(event, LOG_TAG) & KIND_MASK;
      if (!isPlainStore(kind) && !isFlush(kind)) return slot(event, LOG_AFTER);
      return NARROW[kind] === 1 ? slot(event, LOG_OPERAND) & 0xff : slot(event, LOG_OPERAND);
    },
  };
}

/** The operations executed, in order, but for those that only bracket an atomic hypercall. */
export interface Operations {
  readonly length: number;
  /** Per operation: the event it is (part of), and its place in its actor's log. */
  readonly eventOf: readonly number[];
  readonly record: readonly number[];
}

export function operationsOf(state: MachineState): Operations {
  const eventOf: number[] = [];
  const record: number[] = [];
  for (let event = 0; event < state.depth; event++) {
    const log = state.logs[state.evActor[event] as number] as Int32Array;
    for (let at = state.evFirst[event] as number; at < state.endOf(event); at++) {
      if (isBracket((log[at * RECORD] as number) & KIND_MASK)) continue;
      eventOf.push(event);
      record.push(at);
    }
  }
  return { length: eventOf.length, eventOf, record };
}
