/**
 * The machine as the inline engine steps it: the bytes of all regions, each actor's log of operations, and the
 * stack of events executed so far, which can be taken back to any depth.
 *
 * An operation is recorded in its actor's log before it is executed (the actor's pending operation) and stays
 * there, with its result, for replay. Executing it pushes one event. Taking events back restores the words they
 * changed from the undo log; operations that become pending again that way are known without running anybody.
 *
 * Actors 0..programs-1 are programs. Under TSO actor `programs + a` is the store buffer of program `a`: its log
 * is the queue of buffered stores, its events are flushes. A plain load (and an atomic one, a mov on x86) is
 * answered from the newest store to its bytes in the own buffer; locked operations and fences wait until the
 * own buffer is empty.
 *
 * The last actor is time: it steps only when all that could go on are spinning, and lets each of them look again.
 */
import { OpCache } from './op-cache';
import {
  ACCESS,
  byteFoot,
  CLOCK_ADDRESS,
  DEADLINE_ADDRESS,
  DRAINS,
  EVERYTHING,
  FootLists,
  GUARDED,
  KIND_BITS,
  KIND_MASK,
  LOOKS,
  MANY,
  MAX_BYTES,
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

/** Slots of a log record. */
export const RECORD = 8;
export const LOG_TAG = 0;
export const LOG_OPERAND = 1;
export const LOG_EXPECTED = 2;
export const LOG_RESULT = 3;
/** Node of the {@link OpCache} the record belongs to, or 0. */
export const LOG_NODE = 4;
/** RELAX: footprint of what was read since the last one. Flushes: event of the store. */
export const LOG_EXTRA = 5;
/** What the location holds after a read-modify-write. */
export const LOG_AFTER = 6;

/** Actors are bits of a mask. */
export const MAX_ACTORS = 31;
/** How far the clock moves when nothing but spinning is left (ns). */
export const SPIN_TICK_NS = 1000;
const WRITE_LOCKED = -0x80000000;

/** AWAIT_CLEAR also ends when this bit of the word is set: PauseFlag.STOP. */
export const AWAIT_STOP = 8;

/** Whether an AWAIT_CLEAR for `bits` may go on. */
export function released(word: number, bits: number): boolean {
  return (word & bits) === 0 || (word & AWAIT_STOP) !== 0;
}

export type MemoryModel = 'sc' | 'tso';

export class MachineState {
  readonly i32: Int32Array;
  readonly u8: Uint8Array;
  readonly logs: Int32Array[] = [];
  /** Operations executed, per actor: the pending one is at this position of its log. */
  readonly pos: Int32Array;
  readonly feet = new FootLists();
  readonly numbers = new NumberTable();
  readonly cache: OpCache;
  /** What programs returned or threw: slots 0..programs-1 for those outside the cache. */
  readonly values: unknown[] = [];
  readonly actors: number;
  /** The actor that is time. */
  readonly time: number;
  readonly tso: boolean;

  /** Programs that may be left waiting at the end: timer hardware, devices. */
  daemons = 0;

  /** Number of events executed. */
  depth = 0;
  evActor = new Uint8Array(256);
  evFoot = new Int32Array(256);
  evUndo = new Int32Array(257);
  private undoWord = new Int32Array(512);
  private undoOld = new Int32Array(512);
  private undoTop = 0;

  /** Programs whose next operation nobody knows yet. */
  unknown = 0;
  /** Programs that have returned or thrown. */
  done = 0;
  /** Actors whose pending operation can always be executed. */
  private ready = 0;
  /** Actors whose pending operation has to be asked. */
  private guarded = 0;
  /** Operations known, per actor. */
  private readonly known: Int32Array;

  /** @param bytes - size of the address space, engine's own words included */
  constructor(
    bytes: number,
    readonly programs: number,
    readonly memoryModel: MemoryModel = 'sc',
  ) {
    if (bytes > MAX_BYTES) throw new RangeError(`a machine under exploration has at most ${MAX_BYTES} bytes of memory`);
    this.tso = memoryModel === 'tso';
    this.actors = (this.tso ? programs * 2 : programs) + 1;
    this.time = this.actors - 1;
    if (this.actors > MAX_ACTORS) {
      throw new RangeError(
        `exploration handles at most ${MAX_ACTORS - 1} actors (under tso each of them counts twice)`,
      );
    }
    const buffer = new ArrayBuffer((bytes + 3) & ~3);
    this.i32 = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.pos = new Int32Array(this.actors);
    this.known = new Int32Array(this.actors);
    for (let actor = 0; actor < this.actors; actor++) this.logs.push(new Int32Array(RECORD * 32));
    this.cache = new OpCache(programs);
    for (let program = 0; program < programs; program++) {
      (this.logs[program] as Int32Array)[LOG_NODE] = this.cache.root(program);
      this.values.push(undefined);
    }
    this.unknown = (1 << programs) - 1;
  }

  kind(actor: number): number {
    return ((this.logs[actor] as Int32Array)[(this.pos[actor] as number) * RECORD] as number) & KIND_MASK;
  }

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

  /** Records the next operation of a program. Its log has room. */
  setPending(program: number, tag: number, operand: number, expected: number): void {
    const at = (this.pos[program] as number) * RECORD;
    const log = this.logs[program] as Int32Array;
    log[at + LOG_TAG] = tag;
    log[at + LOG_OPERAND] = operand;
    log[at + LOG_EXPECTED] = expected;
    let extra = 0;
    if ((tag & KIND_MASK) === Op.RELAX) {
      extra = this.footSinceRelax(program);
      log[at + LOG_AFTER] = this.i32[TICK_ADDRESS >> 2] as number;
    }
    log[at + LOG_EXTRA] = extra;
    const node = log[at + LOG_NODE] as number;
    if (node > 0) this.cache.learn(node, tag, operand, expected, extra);
    this.known[program] = (this.pos[program] as number) + 1;
    this.classify(program);
  }

  /** Records that a program has returned (or, with Op.CRASH, thrown) `value`. */
  setEnd(program: number, kind: number, value: unknown): void {
    const node = (this.logs[program] as Int32Array)[(this.pos[program] as number) * RECORD + LOG_NODE] as number;
    let slot = program;
    if (node > 0) slot = this.values.push(value) - 1;
    else this.values[program] = value;
    this.setPending(program, kind, slot, 0);
  }

  /** What a program that is done returned or threw. */
  endValue(program: number): unknown {
    const log = this.logs[program] as Int32Array;
    return this.values[log[(this.pos[program] as number) * RECORD + LOG_OPERAND] as number];
  }

  /**
   * Executes the pending operation of an actor: one event.
   * @param choice - result of a CHOOSE
   */
  execute(actor: number, choice: number): void {
    const position = this.pos[actor] as number;
    const at = position * RECORD;
    const log = this.logs[actor] as Int32Array;
    const tag = log[at + LOG_TAG] as number;
    const kind = tag & KIND_MASK;
    const event = this.depth;
    if (event + 1 >= this.evActor.length) this.growEvents();
    this.evActor[event] = actor;
    this.evUndo[event] = this.undoTop;
    this.depth = event + 1;
    const address = tag >>> KIND_BITS;
    const access = ACCESS[kind] as number;
    this.evFoot[event] = access === 0 ? 0 : NARROW[kind] === 1 ? byteFoot(address, access) : wordFoot(address, access);
    let result: number;
    if (kind <= Op.WRITE32) result = this.plain(actor, kind, address, log[at + LOG_OPERAND] as number);
    else if (kind <= Op.CAS8) result = this.atomic8(kind, address, log, at);
    else if (kind <= Op.CAS32) result = this.atomic32(kind, address, log, at);
    else result = this.special(actor, kind, address, log, at, choice);
    log[at + LOG_RESULT] = result;
    this.pos[actor] = position + 1;
    if (actor < this.programs) this.advance(actor, log, at, result);
    else this.classify(actor);
  }

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

  private readonly scratch = new Int32Array(RECORD);

  /** Makes what {@link direct} wrote part of the state all executions start from. */
  commit(): void {
    this.undoTop = 0;
  }

  /** Takes back what {@link direct} wrote since the last event. */
  discardDirect(mark: number): void {
    this.undoTo(mark);
  }

  directMark(): number {
    return this.undoTop;
  }

  /** Takes events back until `depth` are left. Returns the actors concerned. */
  rollback(depth: number): number {
    if (depth >= this.depth) return 0;
    let touched = 0;
    for (let event = this.depth - 1; event >= depth; event--) {
      const actor = this.evActor[event] as number;
      touched |= 1 << actor;
      const position = (this.pos[actor] as number) - 1;
      this.pos[actor] = position;
      if (this.tso && actor < this.programs) {
        const kind = ((this.logs[actor] as Int32Array)[position * RECORD] as number) & KIND_MASK;
        if (kind === Op.WRITE8 || kind === Op.WRITE32) {
          const buffer = actor + this.programs;
          this.known[buffer] = (this.known[buffer] as number) - 1;
          touched |= 1 << buffer;
        }
      }
    }
    this.undoTo(this.evUndo[depth] as number);
    this.depth = depth;
    for (let rest = touched; rest !== 0; rest &= rest - 1) {
      const actor = 31 - Math.clz32(rest & -rest);
      if (actor < this.programs) this.known[actor] = (this.pos[actor] as number) + 1;
      this.classify(actor);
    }
    return touched;
  }

  /** The footprint the pending operation of an actor has if it is executed now. */
  pendingFoot(actor: number): number {
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

  /** The words a TICK writes, besides depending on everything. */
  readonly tickFoot = this.feet.intern([wordFoot(CLOCK_ADDRESS, WRITES), wordFoot(TICK_ADDRESS, WRITES)]);
  private readonly timerFoot = this.feet.intern([wordFoot(CLOCK_ADDRESS, WRITES), wordFoot(DEADLINE_ADDRESS, WRITES)]);

  /**
   * Whether two steps of different actors may not be swapped. A program's load commutes with the flushes of its own
   * buffer: it finds its own newest store either way.
   */
  dependent(actor: number, foot: number, other: number, otherFoot: number): boolean {
    if (!this.feet.dependent(foot, otherFoot)) return false;
    return !(this.tso && this.isOwnFlush(actor, foot, other, otherFoot));
  }

  /** Under TSO: of the two steps one is a load and the other a flush of the same program. */
  isOwnFlush(actor: number, foot: number, other: number, otherFoot: number): boolean {
    if (actor + this.programs === other) return (foot & (WRITES | MANY)) === 0;
    return other + this.programs === actor && (otherFoot & (WRITES | MANY)) === 0;
  }

  /** A word as it was before an event (which need not have written it, if it is the newest). */
  oldWord(event: number, word: number): number {
    const end = event + 1 < this.depth ? (this.evUndo[event + 1] as number) : this.undoTop;
    for (let entry = this.evUndo[event] as number; entry < end; entry++) {
      if (this.undoWord[entry] === word) return this.undoOld[entry] as number;
    }
    return this.i32[word] as number;
  }

  /** Whether an event changed memory other than by letting time pass. */
  changes(event: number): boolean {
    if (this.evActor[event] === this.time) return false;
    return (
      ((event + 1 < this.depth ? this.evUndo[event + 1] : this.undoTop) as number) > (this.evUndo[event] as number)
    );
  }

  /** Whether an event wrote a word. */
  wrote(event: number, word: number): boolean {
    const end = event + 1 < this.depth ? (this.evUndo[event + 1] as number) : this.undoTop;
    for (let entry = this.evUndo[event] as number; entry < end; entry++) {
      if (this.undoWord[entry] === word) return true;
    }
    return false;
  }

  /** The actors that wait for a condition. */
  waiting(): number {
    return this.guarded;
  }

  /** Under TSO: true when the program has stores in its buffer. */
  buffers(program: number): boolean {
    const buffer = program + this.programs;
    return (this.known[buffer] as number) > (this.pos[buffer] as number);
  }

  /** Under TSO: the event of the store that the last executed flush of this buffer made visible. */
  storeOfLastFlush(buffer: number): number {
    return (this.logs[buffer] as Int32Array)[((this.pos[buffer] as number) - 1) * RECORD + LOG_EXTRA] as number;
  }

  /** Makes room for the record at the pending position of a log and the one after it. */
  private reserve(actor: number, log: Int32Array, records: number): void {
    if (records * RECORD <= log.length) return;
    const larger = new Int32Array(log.length * 2);
    larger.set(log);
    this.logs[actor] = larger;
  }

  /** After an event of a program: what it does next, if that is known. */
  private advance(program: number, log: Int32Array, at: number, result: number): void {
    const next = at + RECORD;
    if (next + RECORD > log.length) {
      this.reserve(program, log, next / RECORD + 1);
      log = this.logs[program] as Int32Array;
    }
    const cache = this.cache;
    const node = log[at + LOG_NODE] as number;
    if (node > 0 && cache.enabled) {
      let child = cache.child(node, result);
      if (child === 0) child = cache.addChild(node, result);
      log[next + LOG_NODE] = child;
      if (cache.known(child)) {
        log[next + LOG_TAG] = cache.tag(child);
        log[next + LOG_OPERAND] = cache.operand(child);
        log[next + LOG_EXPECTED] = cache.expected(child);
        log[next + LOG_EXTRA] = cache.extra(child);
        log[next + LOG_AFTER] = this.i32[TICK_ADDRESS >> 2] as number;
        this.known[program] = (this.pos[program] as number) + 1;
        this.classify(program);
        return;
      }
    } else {
      log[next + LOG_NODE] = 0;
    }
    const bit = 1 << program;
    this.unknown |= bit;
    this.ready &= ~bit;
    this.guarded &= ~bit;
  }

  /** Sets the actor's bits by its pending operation. */
  private classify(actor: number): void {
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

  private guardHolds(actor: number): boolean {
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

  /** First record after the previous RELAX of the program. */
  private sinceRelax(program: number): number {
    const log = this.logs[program] as Int32Array;
    let record = this.pos[program] as number;
    while (record > 0 && ((log[(record - 1) * RECORD] as number) & KIND_MASK) !== Op.RELAX) record--;
    return record;
  }

  /** The bytes a program has read since its last RELAX. */
  private footSinceRelax(program: number): number {
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

  /** Whether something a program has read since its last RELAX is different now. */
  private changedSinceRelax(program: number): boolean {
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

  private plain(actor: number, kind: number, address: number, operand: number): number {
    switch (kind) {
      case Op.READ8:
        return this.look8(actor, address);
      case Op.READ32:
        return this.look32(actor, address);
      default:
        if (this.tso) this.buffer(actor, kind, address, operand);
        else if (kind === Op.WRITE8) this.put8(address, operand);
        else this.put(address >> 2, operand);
        return 0;
    }
  }

  /** TSO: the store goes to the end of the program's buffer; nobody else notices. */
  private buffer(program: number, kind: number, address: number, operand: number): void {
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

  private look8(actor: number, address: number): number {
    if (!this.tso || !this.buffers(actor)) return this.u8[address] as number;
    return (this.look32(actor, address & ~3) >>> ((address & 3) * 8)) & 0xff;
  }

  look32(actor: number, address: number): number {
    let value = this.i32[address >> 2] as number;
    if (!this.tso) return value;
    const buffer = actor + this.programs;
    const log = this.logs[buffer] as Int32Array;
    for (let record = this.pos[buffer] as number; record < (this.known[buffer] as number); record++) {
      const tag = log[record * RECORD] as number;
      const stored = tag >>> KIND_BITS;
      if (stored >> 2 !== address >> 2) continue;
      const operand = log[record * RECORD + LOG_OPERAND] as number;
      if ((tag & KIND_MASK) === Op.FLUSH32) {
        value = operand;
      } else {
        const shift = (stored & 3) * 8;
        value = (value & ~(0xff << shift)) | ((operand & 0xff) << shift);
      }
    }
    return value;
  }

  private atomic8(kind: number, address: number, log: Int32Array, at: number): number {
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

  private atomic32(kind: number, address: number, log: Int32Array, at: number): number {
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

  private special(actor: number, kind: number, address: number, log: Int32Array, at: number, choice: number): number {
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

  private deliverable(actor: number, address: number): boolean {
    return this.look8(actor, address + 1) === 0 && this.look8(actor, address) !== 0;
  }

  /** A window reads the mask byte, and the pending byte only if that is clear. */
  private windowFoot(actor: number, address: number): number {
    return this.look8(actor, address + 1) !== 0 ? byteFoot(address + 1, READS) : wordFoot(address, READS) & ~0xc0;
  }

  /** System time in nanoseconds. */
  clockNs(): number {
    return this.numbers.value(this.i32[CLOCK_ADDRESS >> 2] as number);
  }

  private passUntil(timeNs: number): number {
    const now = Math.max(this.clockNs(), timeNs);
    const id = this.numbers.intern(now);
    this.put(CLOCK_ADDRESS >> 2, id);
    return id;
  }

  /** The earliest deadline counts. Nothing stops the timer but its expiry, which finds nothing to do then. */
  private armTimer(deadline: number): void {
    const armed = this.i32[DEADLINE_ADDRESS >> 2] as number;
    if (deadline === 0) return;
    if (armed === 0 || this.numbers.value(deadline) < this.numbers.value(armed))
      this.put(DEADLINE_ADDRESS >> 2, deadline);
  }

  private notify(address: number, count: number): number {
    let woken = 0;
    for (let actor = 0; actor < this.programs && woken < count; actor++) {
      const slot = (SLEEPER_ADDRESS >> 2) + actor;
      if (this.i32[slot] !== address + 1) continue;
      this.put(slot, NOTIFIED);
      woken++;
    }
    return woken;
  }

  private put(index: number, value: number): void {
    const top = this.undoTop;
    if (top === this.undoWord.length) this.growUndo();
    this.undoWord[top] = index;
    this.undoOld[top] = this.i32[index] as number;
    this.undoTop = top + 1;
    this.i32[index] = value;
  }

  private put8(address: number, value: number): void {
    const index = address >> 2;
    const shift = (address & 3) * 8;
    this.put(index, ((this.i32[index] as number) & ~(0xff << shift)) | ((value & 0xff) << shift));
  }

  private undoTo(mark: number): void {
    for (let top = this.undoTop - 1; top >= mark; top--) {
      this.i32[this.undoWord[top] as number] = this.undoOld[top] as number;
    }
    this.undoTop = mark;
  }

  private growUndo(): void {
    const size = this.undoWord.length * 2;
    const words = new Int32Array(size);
    words.set(this.undoWord);
    this.undoWord = words;
    const old = new Int32Array(size);
    old.set(this.undoOld);
    this.undoOld = old;
  }

  private growEvents(): void {
    const size = this.evActor.length * 2;
    const actors = new Uint8Array(size);
    actors.set(this.evActor);
    this.evActor = actors;
    const feet = new Int32Array(size);
    feet.set(this.evFoot);
    this.evFoot = feet;
    const undo = new Int32Array(size + 1);
    undo.set(this.evUndo);
    this.evUndo = undo;
  }
}
