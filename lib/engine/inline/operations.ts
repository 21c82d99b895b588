/**
 * What each kind of operation does to the machine, what it results in, and which bytes it touches (its footprint).
 */
import { EventStack } from './event-stack';
import { LOG_AFTER, LOG_EXPECTED, LOG_EXTRA, LOG_OPERAND, LOG_TAG, RECORD } from './operation-log';
import {
  ACCESS,
  byteFoot,
  CLOCK_ADDRESS,
  DEADLINE_ADDRESS,
  EVERYTHING,
  FootLists,
  KIND_BITS,
  KIND_MASK,
  NARROW,
  NOTIFIED,
  NumberTable,
  Op,
  READS,
  SLEEPER_ADDRESS,
  TICK_ADDRESS,
  WRITES,
  wordFoot,
} from './ops';

/** How far the clock moves when nothing but spinning is left (ns). */
export const SPIN_TICK_NS = 1000;
const WRITE_LOCKED = -0x80000000;

export abstract class Operations extends EventStack {
  readonly feet = new FootLists();
  readonly numbers = new NumberTable();
  /** The words a TICK writes, besides depending on everything. */
  readonly tickFoot = this.feet.intern([wordFoot(CLOCK_ADDRESS, WRITES), wordFoot(TICK_ADDRESS, WRITES)]);
  protected readonly timerFoot = this.feet.intern([
    wordFoot(CLOCK_ADDRESS, WRITES),
    wordFoot(DEADLINE_ADDRESS, WRITES),
  ]);
  private readonly scratch = new Int32Array(RECORD);
  /** The operation being executed is part of an atomic hypercall. */
  protected inSection = false;

  /** Takes note of an actor's new pending operation. */
  protected abstract classify(actor: number): void;

  /** An operation outside any execution (set-up, final check): executed at once, recorded nowhere. */
  direct(tag: number, operand: number, expected: number): number {
    const kind = tag & KIND_MASK;
    const address = tag >>> KIND_BITS;
    const scratch = this.scratch;
    scratch[LOG_OPERAND] = operand;
    scratch[LOG_EXPECTED] = expected;
    if (kind === Op.READ8) return this.u8[address] as number;
    if (kind === Op.READ32) return this.i32[address >> 2] as number;
    if (kind === Op.WRITE8) {
      this.put8(address, operand);
      return 0;
    }
    if (kind === Op.WRITE32) {
      this.put(address >> 2, operand);
      return 0;
    }
    if (kind <= Op.CAS8) return this.atomic8(kind, address, scratch, 0);
    if (kind <= Op.CAS32) return this.atomic32(kind, address, scratch, 0);
    return this.special(0, kind, address, scratch, 0, 0);
  }

  /**
   * The footprint the pending operation of an actor has if it is executed now. What an atomic hypercall will touch nobody
   * knows: it depends on everything.
   */
  pendingFoot(actor: number): number {
    if (this.atomicHypercalls && (this.isInside(actor) || this.kind(actor) === Op.ENTER)) return EVERYTHING;
    return this.operationFoot(actor);
  }

  /** The footprint of the pending operation alone. */
  operationFoot(actor: number): number {
    const at = (this.pos[actor] as number) * RECORD;
    const log = this.logs[actor] as Int32Array;
    const tag = log[at] as number;
    const kind = tag & KIND_MASK;
    const address = tag >>> KIND_BITS;
    switch (kind) {
      case Op.CAS8: {
        const writes = this.u8[address] === ((log[at + LOG_EXPECTED] as number) & 0xff);
        return byteFoot(address, writes ? WRITES : READS);
      }
      case Op.CAS32:
        return wordFoot(address, this.i32[address >> 2] === log[at + LOG_EXPECTED] ? WRITES : READS);
      case Op.WAIT:
        return wordFoot(address, this.i32[address >> 2] === log[at + LOG_OPERAND] ? WRITES : READS);
      case Op.WRITE8:
      case Op.WRITE32:
        if (this.tso) return 0;
        break;
      case Op.WINDOW:
        return this.windowFoot(actor, address);
      case Op.RELAX:
        return log[at + LOG_EXTRA] as number;
      case Op.TIMER_WAIT:
        return this.timerFoot;
      default:
    }
    const access = ACCESS[kind] as number;
    if (access === 0) return 0;
    return NARROW[kind] === 1 ? byteFoot(address, access) : wordFoot(address, access);
  }

  /**
   * Whether two steps of different actors may not be swapped. What only looks, a load or a RELAX, commutes with the flushes
   * of the program's own buffer: it finds its own newest store either way.
   */
  dependent(actor: number, foot: number, other: number, otherFoot: number): boolean {
    if (!this.feet.dependent(foot, otherFoot)) return false;
    return !(this.tso && this.isOwnFlush(actor, foot, other, otherFoot));
  }

  /** Under TSO: of the two steps one only looks and the other is a flush of the same program. */
  isOwnFlush(actor: number, foot: number, other: number, otherFoot: number): boolean {
    if (actor + this.programs === other) return this.feet.onlyReads(foot);
    return other + this.programs === actor && this.feet.onlyReads(otherFoot);
  }

  /** System time in nanoseconds. */
  clockNs(): number {
    return this.numbers.value(this.i32[CLOCK_ADDRESS >> 2] as number);
  }

  protected plain(actor: number, kind: number, address: number, operand: number): number {
    switch (kind) {
      case Op.READ8:
        return this.look8(actor, address);
      case Op.READ32:
        return this.look32(actor, address);
      default:
        // An atomic hypercall begins with the buffer empty and leaves nothing in it.
        if (this.tso && !this.inSection) this.buffer(actor, kind, address, operand);
        else if (kind === Op.WRITE8) this.put8(address, operand);
        else this.put(address >> 2, operand);
        return 0;
    }
  }

  /** TSO: the store goes to the end of the program's buffer; nobody else notices. */
  protected buffer(program: number, kind: number, address: number, operand: number): void {
    const buffer = program + this.programs;
    const record = this.known[buffer] as number;
    this.reserve(buffer, this.logs[buffer] as Int32Array, record + 1);
    const log = this.logs[buffer] as Int32Array;
    log[record * RECORD + LOG_TAG] = (address << KIND_BITS) | (kind === Op.WRITE8 ? Op.FLUSH8 : Op.FLUSH32);
    log[record * RECORD + LOG_OPERAND] = operand;
    log[record * RECORD + LOG_EXTRA] = this.depth - 1;
    this.known[buffer] = record + 1;
    this.evFoot[this.depth - 1] = 0;
    this.classify(buffer);
  }

  protected atomic8(kind: number, address: number, log: Int32Array, at: number): number {
    const operand = log[at + LOG_OPERAND] as number;
    const old = this.u8[address] as number;
    let after = operand;
    switch (kind) {
      case Op.LOAD8:
        return at === 0 && log === this.scratch ? old : this.look8(this.evActor[this.depth - 1] as number, address);
      case Op.ADD8:
        after = old + operand;
        break;
      case Op.AND8:
        after = old & operand;
        break;
      case Op.OR8:
        after = old | operand;
        break;
      case Op.XOR8:
        after = old ^ operand;
        break;
      case Op.CAS8:
        if (old !== ((log[at + LOG_EXPECTED] as number) & 0xff)) {
          if (log !== this.scratch) this.evFoot[this.depth - 1] = byteFoot(address, READS);
          log[at + LOG_AFTER] = old;
          return old;
        }
        break;
      default:
    }
    this.put8(address, after);
    log[at + LOG_AFTER] = after & 0xff;
    return kind === Op.STORE8 ? 0 : old;
  }

  protected atomic32(kind: number, address: number, log: Int32Array, at: number): number {
    const operand = log[at + LOG_OPERAND] as number;
    const old = this.i32[address >> 2] as number;
    let after = operand;
    switch (kind) {
      case Op.LOAD32:
        return at === 0 && log === this.scratch ? old : this.look32(this.evActor[this.depth - 1] as number, address);
      case Op.ADD32:
        after = (old + operand) | 0;
        break;
      case Op.AND32:
        after = old & operand;
        break;
      case Op.OR32:
        after = old | operand;
        break;
      case Op.XOR32:
        after = old ^ operand;
        break;
      case Op.CAS32:
        if (old !== log[at + LOG_EXPECTED]) {
          if (log !== this.scratch) this.evFoot[this.depth - 1] = wordFoot(address, READS);
          log[at + LOG_AFTER] = old;
          return old;
        }
        break;
      default:
    }
    this.put(address >> 2, after);
    log[at + LOG_AFTER] = after;
    return kind === Op.STORE32 ? 0 : old;
  }

  protected special(actor: number, kind: number, address: number, log: Int32Array, at: number, choice: number): number {
    const i32 = this.i32;
    const index = address >> 2;
    const operand = log[at + LOG_OPERAND] as number;
    switch (kind) {
      case Op.READ_LOCK:
        this.put(index, (i32[index] as number) + 1);
        return 0;
      case Op.READ_TRYLOCK:
        if ((i32[index] as number) < 0) return 0;
        this.put(index, (i32[index] as number) + 1);
        return 1;
      case Op.READ_UNLOCK:
        this.put(index, (i32[index] as number) - 1);
        return 0;
      case Op.WRITE_LOCK:
        this.put(index, WRITE_LOCKED);
        return 0;
      case Op.WRITE_UNLOCK:
        this.put(index, 0);
        return 0;
      case Op.RELAX:
        this.evFoot[this.depth - 1] = log[at + LOG_EXTRA] as number;
        return 0;
      case Op.WAIT:
        if (i32[index] !== operand) {
          this.evFoot[this.depth - 1] = wordFoot(address, READS);
          return 1;
        }
        this.put((SLEEPER_ADDRESS >> 2) + actor, address + 1);
        return 0;
      case Op.WAIT_END: {
        const slot = (SLEEPER_ADDRESS >> 2) + actor;
        const notified = i32[slot] === NOTIFIED;
        this.put(slot, 0);
        return notified ? 0 : 1;
      }
      case Op.NOTIFY:
        return this.notify(address, operand);
      case Op.CHOOSE:
        return choice;
      case Op.WINDOW:
        this.evFoot[this.depth - 1] = this.windowFoot(actor, address);
        return this.deliverable(actor, address) ? 1 : 0;
      case Op.NOW:
        return i32[CLOCK_ADDRESS >> 2] as number;
      case Op.TIMER_SET:
        this.armTimer(operand);
        return 0;
      case Op.AWAIT_CLEAR:
        return i32[index] as number;
      case Op.TIMER_WAIT: {
        const deadline = this.numbers.value(i32[DEADLINE_ADDRESS >> 2] as number);
        this.put(DEADLINE_ADDRESS >> 2, 0);
        this.evFoot[this.depth - 1] = this.timerFoot;
        return this.passUntil(deadline);
      }
      case Op.SLEEP:
        return this.passUntil(this.clockNs() + this.numbers.value(operand));
      case Op.TICK:
        this.evFoot[this.depth - 1] = EVERYTHING;
        this.put(TICK_ADDRESS >> 2, (i32[TICK_ADDRESS >> 2] as number) + 1);
        return this.passUntil(this.clockNs() + SPIN_TICK_NS);
      case Op.FLUSH8:
        this.put8(address, operand);
        return 0;
      case Op.FLUSH32:
        this.put(index, operand);
        return 0;
      default:
        return 0;
    }
  }

  protected deliverable(actor: number, address: number): boolean {
    return this.look8(actor, address + 1) === 0 && this.look8(actor, address) !== 0;
  }

  /** A window reads the mask byte, and the pending byte only if that is clear. */
  protected windowFoot(actor: number, address: number): number {
    return this.look8(actor, address + 1) !== 0 ? byteFoot(address + 1, READS) : wordFoot(address, READS) & ~0xc0;
  }

  protected passUntil(timeNs: number): number {
    const now = Math.max(this.clockNs(), timeNs);
    const id = this.numbers.intern(now);
    this.put(CLOCK_ADDRESS >> 2, id);
    return id;
  }

  /** The earliest deadline counts. Nothing stops the timer but its expiry, which finds nothing to do then. */
  protected armTimer(deadline: number): void {
    const armed = this.i32[DEADLINE_ADDRESS >> 2] as number;
    if (deadline === 0) return;
    if (armed === 0 || this.numbers.value(deadline) < this.numbers.value(armed))
      this.put(DEADLINE_ADDRESS >> 2, deadline);
  }

  protected notify(address: number, count: number): number {
    let woken = 0;
    for (let actor = 0; actor < this.programs && woken < count; actor++) {
      const slot = (SLEEPER_ADDRESS >> 2) + actor;
      if (this.i32[slot] !== address + 1) continue;
      this.put(slot, NOTIFIED);
      woken++;
    }
    return woken;
  }
}
