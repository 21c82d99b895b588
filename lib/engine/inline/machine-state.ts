/**
 * The machine as the inline engine steps it: the bytes of all regions, each actor's log of operations, and the
 * stack of events executed so far, which can be taken back to any depth.
 *
 * An operation is recorded in its actor's log before it is executed (the actor's pending operation) and stays
 * there, with its result, for replay. Executing it pushes one event. Taking events back restores the words they
 * changed from the undo log; operations that become pending again that way are known without running anybody.
 *
 * The parts, each a class built on the one before: undo-memory, event-stack, operations, readiness.
 *
 * Actors 0..programs-1 are programs. Under TSO actor `programs + a` is the store buffer of program `a`: its log
 * is the queue of buffered stores, its events are flushes. A plain load (and an atomic one, a mov on x86) is
 * answered from the newest store to its bytes in the own buffer; locked operations and fences wait until the
 * own buffer is empty.
 *
 * The last actor is time: it steps only when all that could go on are spinning, and lets each of them look again.
 */
import type { MemoryModel } from './event-stack';
import { Guesses } from './guesses';
import { OpCache } from './op-cache';
import {
  LOG_AFTER,
  LOG_EXPECTED,
  LOG_EXTRA,
  LOG_NODE,
  LOG_OPERAND,
  LOG_RESULT,
  LOG_SECTION,
  LOG_TAG,
  RECORD,
} from './operation-log';
import { ACCESS, byteFoot, KIND_BITS, KIND_MASK, NARROW, Op, READS, TICK_ADDRESS, wordFoot } from './ops';
import { Readiness } from './readiness';
import { SectionFoot } from './section-foot';

export class MachineState extends Readiness {
  readonly cache: OpCache;
  /** What programs returned or threw: slots 0..programs-1 for those outside the cache. */
  readonly values: unknown[] = [];

  /** Programs that may be left waiting at the end: timer hardware, devices. */
  daemons = 0;

  /** Programs with operations in their logs that are guesses, and the position of the first of them. */
  guessed = 0;
  private readonly firstGuess: Int32Array;
  private guesses: Guesses | undefined;

  /** @param bytes - size of the address space, engine's own words included */
  constructor(bytes: number, programs: number, memoryModel: MemoryModel = 'sc', atomicHypercalls = false) {
    super(bytes, programs, memoryModel, atomicHypercalls);
    this.cache = new OpCache(programs);
    for (let program = 0; program < programs; program++) {
      (this.logs[program] as Int32Array)[LOG_NODE] = this.cache.root(program);
      this.values.push(undefined);
    }
    this.unknown = (1 << programs) - 1;
    this.firstGuess = new Int32Array(programs);
  }

  /** From now on what programs do next is guessed where they always did the same. Between executions. */
  guess(): void {
    this.guesses ??= new Guesses(this.programs);
    // What the cache does not know costs less now.
    this.cache.minHitRate = 0.3;
  }

  /** Whether a record of a program's log is a guess. */
  isGuess(program: number, position: number): boolean {
    return ((this.guessed >>> program) & 1) === 1 && position >= (this.firstGuess[program] as number);
  }

  /** Of the programs with guesses, the one whose first was executed first. */
  firstToAsk(): number {
    for (let event = 0; event < this.depth; event++) {
      const actor = this.evActor[event] as number;
      if (actor < this.programs && this.isGuess(actor, this.evFirst[event] as number)) return actor;
    }
    return 31 - Math.clz32(this.guessed & -this.guessed);
  }

  /** What a program does next counts as unknown: it will be run. */
  ask(program: number): void {
    const bit = 1 << program;
    this.unknown |= bit;
    this.ready &= ~bit;
    this.guarded &= ~bit;
  }

  /** The event in which a program executed the operation at a position; {@link depth} if it has not yet. */
  eventOf(program: number, position: number): number {
    let event = this.depth;
    if (position >= (this.pos[program] as number)) return event;
    do event--;
    while (this.evActor[event] !== program || this.evFirst[event] !== position);
    return event;
  }

  /** The program, run, did something else than the guess at this position, which has been taken back. */
  wasWrong(program: number, position: number): void {
    this.guesses?.wasWrong(program, position);
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
    if (this.guesses === undefined) return;
    this.guesses.observe(program, this.pos[program] as number, tag, operand, expected);
    this.confirm(program);
  }

  /** The program has been run through its log: no guess was wrong. */
  confirm(program: number): void {
    if (((this.guessed >>> program) & 1) === 0) return;
    this.guessed &= ~(1 << program);
    const { cache } = this;
    if (!cache.enabled) return;
    const log = this.logs[program] as Int32Array;
    const end = (this.pos[program] as number) * RECORD;
    for (let at = (this.firstGuess[program] as number) * RECORD; at < end; at += RECORD) {
      const node = log[at + LOG_NODE] as number;
      if (node === 0 || cache.known(node)) continue;
      cache.learn(
        node,
        log[at + LOG_TAG] as number,
        log[at + LOG_OPERAND] as number,
        log[at + LOG_EXPECTED] as number,
        log[at + LOG_EXTRA] as number,
      );
    }
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
    const event = this.depth;
    if (event + 1 >= this.evActor.length) this.growEvents();
    this.evActor[event] = actor;
    this.evUndo[event] = this.undoTop;
    this.evFirst[event] = this.pos[actor] as number;
    this.depth = event + 1;
    this.operate(actor, choice);
  }

  /**
   * Whether the newest event is to go on with its actor's next operation, which is inside the same hypercall.
   */
  get goesOn(): boolean {
    if (!this.atomicHypercalls) return false;
    const event = this.depth - 1;
    const actor = this.evActor[event] as number;
    return actor < this.programs && this.isInside(actor);
  }

  /** Executes the pending operation of the newest event's actor as part of that event. Returns false if it has to wait. */
  extend(): boolean {
    const actor = this.evActor[this.depth - 1] as number;
    if (!this.isEnabled(actor)) return false;
    this.operate(actor, 0);
    return true;
  }

  /** The newest event, an atomic hypercall, is over: its footprint is that of all its operations. */
  close(): void {
    const event = this.depth - 1;
    const actor = this.evActor[event] as number;
    // Where it had to wait, it depends on what it waits for.
    if (this.isInside(actor)) {
      const address = this.pendingAddress(actor);
      if (address !== 0) this.section.add(wordFoot(address, READS), Op.NONE);
    }
    this.evFoot[event] = this.section.combine((word) => this.oldWord(event, word), this.i32);
    this.section.clear();
  }

  private operate(actor: number, choice: number): void {
    const position = this.pos[actor] as number;
    const at = position * RECORD;
    const log = this.logs[actor] as Int32Array;
    const tag = log[at + LOG_TAG] as number;
    const kind = tag & KIND_MASK;
    const event = this.depth - 1;
    const address = tag >>> KIND_BITS;
    const access = ACCESS[kind] as number;
    this.evFoot[event] = access === 0 ? 0 : NARROW[kind] === 1 ? byteFoot(address, access) : wordFoot(address, access);
    if (this.atomicHypercalls) this.beginInSection(event, log, at, kind);
    let result: number;
    if (kind <= Op.WRITE32) result = this.plain(actor, kind, address, log[at + LOG_OPERAND] as number);
    else if (kind <= Op.CAS8) result = this.atomic8(kind, address, log, at);
    else if (kind <= Op.CAS32) result = this.atomic32(kind, address, log, at);
    else result = this.special(actor, kind, address, log, at, choice);
    log[at + LOG_RESULT] = result;
    this.pos[actor] = position + 1;
    if (this.inSection) this.section.add(this.evFoot[event] as number, kind);
    if (actor < this.programs) this.advance(actor, log, at, result);
    else this.classify(actor);
  }

  private beginInSection(event: number, log: Int32Array, at: number, kind: number): void {
    const inside = (log[at + LOG_SECTION] as number) & 1;
    this.inSection = inside === 1 || kind === Op.ENTER;
    log[at + LOG_SECTION] = (this.undoTop << 1) | inside;
    this.evEnd[event] = at / RECORD + 1;
  }

  private readonly section = new SectionFoot(this.feet);

  /** Takes events back until `depth` are left. Returns the actors concerned. */
  rollback(depth: number): number {
    if (depth >= this.depth) return 0;
    let touched = 0;
    for (let event = this.depth - 1; event >= depth; event--) {
      const actor = this.evActor[event] as number;
      touched |= 1 << actor;
      const position = this.evFirst[event] as number;
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
    for (let rest = this.guessed & touched; rest !== 0; rest &= rest - 1) {
      const program = 31 - Math.clz32(rest & -rest);
      if ((this.pos[program] as number) < (this.firstGuess[program] as number)) this.guessed &= ~(1 << program);
    }
    return touched;
  }

  /** After an event of a program: what it does next, if that is known. */
  protected advance(program: number, log: Int32Array, at: number, result: number): void {
    const next = at + RECORD;
    if (next + RECORD > log.length) {
      this.reserve(program, log, next / RECORD + 1);
      log = this.logs[program] as Int32Array;
    }
    if (this.atomicHypercalls) {
      const kind = (log[at] as number) & KIND_MASK;
      const inside = kind === Op.ENTER ? 1 : kind === Op.LEAVE ? 0 : (log[at + LOG_SECTION] as number) & 1;
      log[next + LOG_SECTION] = inside;
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
    if (this.guesses?.trusts(program, this.pos[program] as number) === true) {
      this.takeGuess(this.guesses, program, log, next);
      return;
    }
    const bit = 1 << program;
    this.unknown |= bit;
    this.ready &= ~bit;
    this.guarded &= ~bit;
  }

  private takeGuess(guesses: Guesses, program: number, log: Int32Array, at: number): void {
    const position = this.pos[program] as number;
    log[at + LOG_TAG] = guesses.tag(program, position);
    log[at + LOG_OPERAND] = guesses.operand(program, position);
    log[at + LOG_EXPECTED] = guesses.expected(program, position);
    log[at + LOG_EXTRA] = 0;
    if (((this.guessed >>> program) & 1) === 0) {
      this.guessed |= 1 << program;
      this.firstGuess[program] = position;
    }
    this.known[program] = position + 1;
    this.classify(program);
  }
}
