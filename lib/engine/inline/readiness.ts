/**
 * Who can go on: actors by what is known of their pending operation, and the conditions for which operations wait.
 */
import { LOG_AFTER, LOG_EXTRA, LOG_OPERAND, LOG_RESULT, RECORD } from './operation-log';
import { Operations } from './operations';
import {
  byteFoot,
  DEADLINE_ADDRESS,
  DRAINS,
  GUARDED,
  KIND_BITS,
  KIND_MASK,
  LOOKS,
  NARROW,
  NOTIFIED,
  Op,
  READS,
  SLEEPER_ADDRESS,
  TICK_ADDRESS,
  wordFoot,
} from './ops';

/** AWAIT_CLEAR also ends when this bit of the word is set: PauseFlag.STOP. */
export const AWAIT_STOP = 8;

/** Whether an AWAIT_CLEAR for `bits` may go on. */
export function released(word: number, bits: number): boolean {
  return (word & bits) === 0 || (word & AWAIT_STOP) !== 0;
}

export abstract class Readiness extends Operations {
  /** Programs whose next operation nobody knows yet. */
  unknown = 0;
  /** Programs that have returned or thrown. */
  done = 0;
  /** Actors whose pending operation can always be executed. */
  protected ready = 0;
  /** Actors whose pending operation has to be asked. */
  protected guarded = 0;

  /** The actors that may be chosen: those able to execute their pending operation, and those still unknown. */
  enabled(): number {
    let enabled = this.ready | this.unknown;
    for (let rest = this.guarded; rest !== 0; rest &= rest - 1) {
      const actor = 31 - Math.clz32(rest & -rest);
      if (this.guardHolds(actor)) enabled |= 1 << actor;
    }
    return enabled;
  }

  /** Whether an actor whose pending operation is known can execute it. */
  isEnabled(actor: number): boolean {
    const bit = 1 << actor;
    if ((this.ready & bit) !== 0) return true;
    return (this.guarded & bit) !== 0 && this.guardHolds(actor);
  }

  /** When nobody can go on but somebody spins: the set of the actor that is time, ready to step. Else 0. */
  offerTick(): number {
    for (let rest = this.guarded; rest !== 0; rest &= rest - 1) {
      if (this.kind(31 - Math.clz32(rest & -rest)) !== Op.RELAX) continue;
      const position = this.pos[this.time] as number;
      this.reserve(this.time, this.logs[this.time] as Int32Array, position + 1);
      (this.logs[this.time] as Int32Array)[position * RECORD] = Op.TICK;
      return 1 << this.time;
    }
    return 0;
  }

  /** The actors that wait for a condition. */
  waiting(): number {
    return this.guarded;
  }

  /** Sets the actor's bits by its pending operation. */
  protected classify(actor: number): void {
    const bit = 1 << actor;
    this.ready &= ~bit;
    this.guarded &= ~bit;
    if (actor >= this.programs) {
      if (actor !== this.time && (this.known[actor] as number) > (this.pos[actor] as number)) this.ready |= bit;
      return;
    }
    this.unknown &= ~bit;
    this.done &= ~bit;
    const kind = this.kind(actor);
    if (kind === Op.END || kind === Op.CRASH) this.done |= bit;
    else if (GUARDED[kind] === 1 || (this.tso && DRAINS[kind] === 1)) this.guarded |= bit;
    else this.ready |= bit;
  }

  protected guardHolds(actor: number): boolean {
    const at = (this.pos[actor] as number) * RECORD;
    const log = this.logs[actor] as Int32Array;
    const tag = log[at] as number;
    const kind = tag & KIND_MASK;
    if (this.tso && DRAINS[kind] === 1 && this.buffers(actor)) return false;
    switch (kind) {
      case Op.READ_LOCK:
        return (this.i32[(tag >>> KIND_BITS) >> 2] as number) >= 0;
      case Op.WRITE_LOCK:
        return this.i32[(tag >>> KIND_BITS) >> 2] === 0;
      case Op.AWAIT_CLEAR:
        return released(this.i32[(tag >>> KIND_BITS) >> 2] as number, log[at + LOG_OPERAND] as number);
      case Op.RELAX:
        return log[at + LOG_EXTRA] === 0 || this.changedSinceRelax(actor);
      case Op.WAIT_END:
        return log[at + LOG_OPERAND] === 1 || this.i32[(SLEEPER_ADDRESS >> 2) + actor] === NOTIFIED;
      case Op.TIMER_WAIT:
        return this.i32[DEADLINE_ADDRESS >> 2] !== 0;
      case Op.PARK:
        return false;
      default:
        return true;
    }
  }

  /** The bytes a program has read since its last RELAX. */
  protected footSinceRelax(program: number): number {
    const log = this.logs[program] as Int32Array;
    const feet = new Set<number>();
    for (let record = this.sinceRelax(program); record < (this.pos[program] as number); record++) {
      const tag = log[record * RECORD] as number;
      const kind = tag & KIND_MASK;
      if (LOOKS[kind] !== 1) continue;
      const address = tag >>> KIND_BITS;
      feet.add(NARROW[kind] === 1 ? byteFoot(address, READS) : wordFoot(address, READS));
    }
    if (feet.size > 0) feet.add(wordFoot(TICK_ADDRESS, READS));
    return this.feet.intern([...feet].sort((a, b) => a - b));
  }

  /** First record after the previous RELAX of the program. */
  protected sinceRelax(program: number): number {
    const log = this.logs[program] as Int32Array;
    let record = this.pos[program] as number;
    while (record > 0 && ((log[(record - 1) * RECORD] as number) & KIND_MASK) !== Op.RELAX) record--;
    return record;
  }

  /** Whether something a program has read since its last RELAX is different now. */
  protected changedSinceRelax(program: number): boolean {
    const log = this.logs[program] as Int32Array;
    if (log[(this.pos[program] as number) * RECORD + LOG_AFTER] !== this.i32[TICK_ADDRESS >> 2]) return true;
    for (let record = this.sinceRelax(program); record < (this.pos[program] as number); record++) {
      const at = record * RECORD;
      const tag = log[at] as number;
      const kind = tag & KIND_MASK;
      if (LOOKS[kind] !== 1) continue;
      const address = tag >>> KIND_BITS;
      let now: number;
      if (kind === Op.WINDOW) now = this.deliverable(program, address) ? 1 : 0;
      else if (NARROW[kind] === 1) now = this.look8(program, address);
      else now = this.look32(program, address);
      const only = kind <= Op.LOAD8 || kind === Op.LOAD32 || kind === Op.WINDOW || kind === Op.NOW;
      if (now !== (only ? log[at + LOG_RESULT] : log[at + LOG_AFTER])) return true;
    }
    return false;
  }
}
