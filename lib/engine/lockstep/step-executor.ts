/**
 * Executes steps on the machine's own buffers: an access is the access, by the code of the free-running engine's
 * memory, and Atomics where it uses Atomics. What is not an access (time, choices, sleeping) happens in the engine's shared words.
 *
 * Only the holder of the baton executes, so locks are never contended here: an acquisition is not executed before its
 * guard holds.
 */

import type { AtomicsMemory } from '../../memory/atomics-memory';
import { SPIN_TICK_NS } from '../inline/operations';
import { ENGINE_BYTES, KIND_BITS, KIND_MASK, NARROW, NOTIFIED, Op } from '../inline/ops';
import type { Guards } from './guards';
import type { RegionMemory } from './region-memory';
import {
  EVENT,
  EVENT_ACTOR,
  EVENT_AFTER,
  EVENT_BEFORE,
  EVENT_EXPECTED,
  EVENT_NEXT_STORE,
  EVENT_OPERAND,
  EVENT_PREVIOUS,
  EVENT_RESULT,
  EVENT_TAG,
  type SharedWords,
} from './shared-words';
import type { StoreBuffers } from './store-buffers';

/** Code that belongs to no program: set-up and check. */
const NOBODY = -1;

export class StepExecutor {
  /** Scratch: whether the step being executed changes memory. */
  private $changes = false;

  constructor(
    private readonly words: SharedWords,
    private readonly memory: RegionMemory,
    private readonly buffers: StoreBuffers,
    private readonly guards: Guards,
    private readonly tso: boolean,
  ) {}

  /** Executes the pending operation of a program: one event. Returns its result. */
  execute(program: number): number {
    const { words } = this;
    const tag = words.pendingTag(program);
    const operand = words.pendingOperand(program);
    const expected = words.pendingExpected(program);
    const event = this.execEvent(program, tag, operand, expected);
    words.trace[event * EVENT + EVENT_PREVIOUS] = words.lastEvent(program);
    words.setLastEvent(program, event);
    const kind = tag & KIND_MASK;
    if (this.tso && (kind === Op.WRITE8 || kind === Op.WRITE32)) this.buffers.append(program, event);
    return words.trace[event * EVENT + EVENT_RESULT] as number;
  }

  /** Makes the oldest store in a program's buffer visible to all. */
  flush(program: number): void {
    const { words } = this;
    const at = this.buffers.takeOldest(program) * EVENT;
    const tag = words.trace[at + EVENT_TAG] as number;
    const kind = (tag & KIND_MASK) === Op.WRITE8 ? Op.FLUSH8 : Op.FLUSH32;
    const operand = words.trace[at + EVENT_OPERAND] as number;
    this.execEvent(words.programs + program, (tag & ~KIND_MASK) | kind, operand, 0);
  }

  /** Lets time pass because nothing but spinning is left. */
  tick(): void {
    const { words } = this;
    words.ticks++;
    words.vainTicks++;
    this.execEvent(words.programs * (this.tso ? 2 : 1), Op.TICK, 0, 0);
  }

  /** An operation outside any execution: executed at once, recorded nowhere. */
  direct(tag: number, operand: number, expected: number): number {
    return this.perform(NOBODY, tag & KIND_MASK, tag >>> KIND_BITS, operand, expected);
  }

  private execEvent(actor: number, tag: number, operand: number, expected: number): number {
    const { words } = this;
    const { trace } = words;
    const kind = tag & KIND_MASK;
    const address = tag >>> KIND_BITS;
    const event = words.depth;
    const at = event * EVENT;
    this.$changes = false;
    trace[at + EVENT_ACTOR] = actor;
    trace[at + EVENT_TAG] = tag;
    trace[at + EVENT_OPERAND] = operand;
    trace[at + EVENT_EXPECTED] = expected;
    trace[at + EVENT_NEXT_STORE] = -1;
    trace[at + EVENT_BEFORE] = this.peek(kind, address);
    trace[at + EVENT_RESULT] = this.perform(actor, kind, address, operand, expected);
    trace[at + EVENT_AFTER] = this.peek(kind, address);
    words.lastActor = actor;
    if (this.$changes && kind !== Op.TICK) words.vainTicks = 0;
    words.depth = event + 1;
    return event;
  }

  private peek(kind: number, address: number): number {
    if (address < ENGINE_BYTES) return 0;
    return NARROW[kind] === 1 ? this.memory.peek8(address) : this.memory.peek32(address);
  }

  private perform(actor: number, kind: number, address: number, operand: number, expected: number): number {
    if (address < ENGINE_BYTES) return this.special(kind, operand);
    const { from, memory } = this.memory.at(address);
    const at = address - from;
    if (kind <= Op.WRITE32) return this.plain(actor, kind, address, operand, memory, at);
    if (kind === Op.LOAD8) return this.buffers.forward8(actor, address, memory.load8(at));
    if (kind === Op.LOAD32) return this.buffers.forward32(actor, address, memory.load32(at));
    if (kind <= Op.CAS8) return this.atomic8(kind, memory, at, operand, expected);
    if (kind <= Op.CAS32) return this.atomic32(kind, memory, at, operand, expected);
    if (kind <= Op.AWAIT_CLEAR) return this.lock(kind, memory, at);
    return this.other(actor, kind, address, operand, memory, at);
  }

  private plain(
    actor: number,
    kind: number,
    address: number,
    operand: number,
    memory: AtomicsMemory,
    at: number,
  ): number {
    if (kind === Op.READ8) return this.buffers.forward8(actor, address, memory.read8(at));
    if (kind === Op.READ32) return this.buffers.forward32(actor, address, memory.read32(at));
    if (this.tso && actor !== NOBODY) return 0;
    this.$changes = true;
    if (kind === Op.WRITE8) memory.write8(at, operand);
    else memory.write32(at, operand);
    return 0;
  }

  private atomic8(kind: number, memory: AtomicsMemory, at: number, operand: number, expected: number): number {
    this.$changes = true;
    switch (kind) {
      case Op.STORE8:
        memory.store8(at, operand);
        return 0;
      case Op.ADD8:
        return memory.add8(at, operand);
      case Op.AND8:
        return memory.and8(at, operand);
      case Op.OR8:
        return memory.or8(at, operand);
      case Op.XOR8:
        return memory.xor8(at, operand);
      case Op.EXCHANGE8:
        return memory.exchange8(at, operand);
      default: {
        const old = memory.compareExchange8(at, expected, operand);
        this.$changes = old === expected;
        return old;
      }
    }
  }

  private atomic32(kind: number, memory: AtomicsMemory, at: number, operand: number, expected: number): number {
    this.$changes = true;
    switch (kind) {
      case Op.STORE32:
        memory.store32(at, operand);
        return 0;
      case Op.ADD32:
        return memory.add32(at, operand);
      case Op.AND32:
        return memory.and32(at, operand);
      case Op.OR32:
        return memory.or32(at, operand);
      case Op.XOR32:
        return memory.xor32(at, operand);
      case Op.EXCHANGE32:
        return memory.exchange32(at, operand);
      default: {
        const old = memory.compareExchange32(at, expected, operand);
        this.$changes = old === expected;
        return old;
      }
    }
  }

  private lock(kind: number, memory: AtomicsMemory, at: number): number {
    if (kind === Op.AWAIT_CLEAR) return memory.load32(at);
    this.$changes = true;
    switch (kind) {
      case Op.READ_LOCK:
        memory.readLock(at);
        return 0;
      case Op.READ_TRYLOCK:
        this.$changes = memory.readTrylock(at);
        return this.$changes ? 1 : 0;
      case Op.READ_UNLOCK:
        memory.readUnlock(at);
        return 0;
      case Op.WRITE_LOCK:
        memory.writeLock(at);
        return 0;
      default:
        memory.writeUnlock(at);
        return 0;
    }
  }

  private other(
    actor: number,
    kind: number,
    address: number,
    operand: number,
    memory: AtomicsMemory,
    at: number,
  ): number {
    switch (kind) {
      case Op.WINDOW:
        return this.guards.deliverable(actor, address) ? 1 : 0;
      case Op.WAIT:
        if (memory.load32(at) !== operand) return 1;
        this.$changes = true;
        this.words.setSleeper(Math.max(actor, 0), address + 1);
        return 0;
      case Op.WAIT_END: {
        const sleeper = Math.max(actor, 0);
        const notified = this.words.sleeper(sleeper) === NOTIFIED;
        this.$changes = true;
        this.words.setSleeper(sleeper, 0);
        return notified ? 0 : 1;
      }
      case Op.NOTIFY:
        return this.notify(address, operand);
      case Op.FLUSH8:
        this.$changes = true;
        memory.write8(at, operand);
        return 0;
      case Op.FLUSH32:
        this.$changes = true;
        memory.write32(at, operand);
        return 0;
      default:
        throw new RangeError(`no step of kind ${kind} on memory`);
    }
  }

  private special(kind: number, operand: number): number {
    const { words } = this;
    switch (kind) {
      case Op.FENCE:
        this.memory.fence();
        return 0;
      case Op.CHOOSE:
        return words.takeChoice(operand);
      case Op.NOW:
        return words.clockNs;
      case Op.TIMER_SET:
        this.armTimer(operand);
        return 0;
      case Op.TIMER_WAIT: {
        const deadlineNs = words.deadlineNs;
        words.deadlineNs = 0;
        return this.passUntil(deadlineNs);
      }
      case Op.SLEEP:
        return this.passUntil(words.clockNs + operand);
      case Op.TICK:
        return this.passUntil(words.clockNs + SPIN_TICK_NS);
      default:
        return 0;
    }
  }

  private passUntil(timeNs: number): number {
    this.$changes = true;
    this.words.clockNs = Math.max(this.words.clockNs, timeNs);
    return this.words.clockNs;
  }

  /** The earliest deadline counts. Nothing stops the timer but its expiry, which finds nothing to do then. */
  private armTimer(deadlineNs: number): void {
    const armed = this.words.deadlineNs;
    if (deadlineNs === 0 || (armed !== 0 && deadlineNs >= armed)) return;
    this.$changes = true;
    this.words.deadlineNs = deadlineNs;
  }

  private notify(address: number, count: number): number {
    const { words } = this;
    let woken = 0;
    for (let program = 0; program < words.programs && woken < count; program++) {
      if (words.sleeper(program) !== address + 1) continue;
      words.setSleeper(program, NOTIFIED);
      this.$changes = true;
      woken++;
    }
    return woken;
  }
}
