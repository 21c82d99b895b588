/**
 * The execution that a {@link MachineState} holds, as the invariants look at it. Valid until the state is taken back.
 *
 * Under TSO a plain store is no access; the flush that brings it to memory is, and counts as its vCPU's.
 */
import type { Region } from '../../hypervisor/hypervisor';
import type { Access, History } from '../invariants/history';
import { LOG_AFTER, LOG_EXTRA, LOG_OPERAND, LOG_RESULT, LOG_TAG, type MachineState, RECORD } from './machine-state';
import { DRAINS, ENGINE_BYTES, KIND_BITS, KIND_MASK, MANY, NARROW, Op, WRITES } from './ops';

/** Where a region lies in the engine's address space. */
interface Place {
  readonly region: Region;
  readonly base: number;
  readonly bytes: number;
}

export class EventHistory implements History {
  readonly length: number;
  /** Per event: place of its record in its actor's log. */
  private readonly record: Int32Array;
  private readonly accesses: (Access | undefined)[] = [];
  /** One vector clock per event, made when somebody asks; and each event's number among its actor's, from 1. */
  private clocks: Int32Array | undefined;

  /** @param nameOf - of an actor */
  constructor(
    private readonly state: MachineState,
    private readonly places: readonly Place[],
    private readonly nameOf: (actor: number) => string,
  ) {
    this.length = state.depth;
    this.record = new Int32Array(state.depth);
    const made = new Int32Array(state.actors);
    for (let event = 0; event < state.depth; event++) {
      const actor = state.evActor[event] as number;
      this.record[event] = made[actor] as number;
      made[actor] = (made[actor] as number) + 1;
    }
    for (let event = 0; event < state.depth; event++) this.accesses.push(this.read(event));
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
    const actor = this.state.evActor[a] as number;
    return (this.clocks[b * this.state.actors + actor] as number) > (this.record[a] as number);
  }

  /** The actor of an event, the program itself for its store buffer. */
  private programOf(event: number): number {
    const actor = this.state.evActor[event] as number;
    const { programs, time } = this.state;
    return actor >= programs && actor !== time ? actor - programs : actor;
  }

  private slot(event: number, slot: number): number {
    const actor = this.state.evActor[event] as number;
    return (this.state.logs[actor] as Int32Array)[(this.record[event] as number) * RECORD + slot] as number;
  }

  private kind(event: number): number {
    return this.slot(event, LOG_TAG) & KIND_MASK;
  }

  private read(event: number): Access | undefined {
    const kind = this.kind(event);
    const access = this.kindOfAccess(event, kind);
    const address = (this.slot(event, LOG_TAG) >>> KIND_BITS) - ENGINE_BYTES;
    const place = this.places.find(({ base, bytes }) => address >= base && address < base + bytes);
    if (access === undefined || place === undefined) return undefined;
    const narrow = NARROW[kind] === 1;
    const seen = this.slot(event, LOG_RESULT);
    const old = this.state.oldWord(event, (address + ENGINE_BYTES) >> 2);
    const before = narrow ? (old >>> ((address & 3) * 8)) & 0xff : old;
    const plain = kind === Op.WRITE8 || kind === Op.WRITE32 || kind === Op.FLUSH8 || kind === Op.FLUSH32;
    const after = this.slot(event, plain ? LOG_OPERAND : LOG_AFTER);
    return {
      actor: this.programOf(event),
      kind: access,
      region: place.region,
      address: address - place.base,
      bytes: narrow ? 1 : 4,
      before: access === 'read' ? seen : before,
      after: access === 'read' ? seen : narrow ? after & 0xff : after | 0,
    };
  }

  /** Undefined for steps that are no access to memory. */
  private kindOfAccess(event: number, kind: number): Access['kind'] | undefined {
    switch (kind) {
      case Op.READ8:
      case Op.READ32:
      case Op.LOAD8:
      case Op.LOAD32:
        return 'read';
      case Op.WRITE8:
      case Op.WRITE32:
        return this.state.tso ? undefined : 'write';
      case Op.STORE8:
      case Op.STORE32:
      case Op.FLUSH8:
      case Op.FLUSH32:
        return 'write';
      case Op.CAS8:
      case Op.CAS32:
        return ((this.state.evFoot[event] as number) & WRITES) === 0 ? 'read' : 'update';
      default:
        return kind > Op.STORE8 && kind <= Op.EXCHANGE32 ? 'update' : undefined;
    }
  }

  /** Each event after those it depends on: the same actor's, and all with which it may not be swapped. */
  private makeClocks(): Int32Array {
    const { state, length } = this;
    const width = state.actors;
    const clocks = new Int32Array(length * width);
    for (let event = 0; event < length; event++) {
      const row = event * width;
      for (let earlier = event - 1; earlier >= 0; earlier--) {
        const actor = state.evActor[earlier] as number;
        if ((clocks[row + actor] as number) > (this.record[earlier] as number)) continue;
        if (!this.dependent(earlier, event)) continue;
        for (let i = 0; i < width; i++) {
          clocks[row + i] = Math.max(clocks[row + i] as number, clocks[earlier * width + i] as number);
        }
      }
      clocks[row + (state.evActor[event] as number)] = (this.record[event] as number) + 1;
    }
    return clocks;
  }

  private dependent(earlier: number, event: number): boolean {
    const { state } = this;
    const a = state.evActor[earlier] as number;
    const b = state.evActor[event] as number;
    if (a === b) return true;
    if (this.programOf(earlier) === this.programOf(event)) return this.dependentInBuffer(earlier, event, a > b);
    return state.feet.dependent(state.evFoot[earlier] as number, state.evFoot[event] as number);
  }

  /**
   * A program and its store buffer: a flush comes after its store, a step that drains the buffer after the flush, and loads do
   * not mind.
   */
  private dependentInBuffer(earlier: number, event: number, flushedFirst: boolean): boolean {
    if (!flushedFirst && this.slot(event, LOG_EXTRA) === earlier) return true;
    const step = flushedFirst ? event : earlier;
    if (flushedFirst && DRAINS[this.kind(step)] === 1) return true;
    const { evFoot, feet } = this.state;
    const foot = evFoot[step] as number;
    return (foot & (WRITES | MANY)) !== 0 && feet.dependent(evFoot[earlier] as number, evFoot[event] as number);
  }
}
