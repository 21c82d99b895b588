/**
 * Holds what a vCPU does under the inline engine against what it did on a free-running thread: its log of accesses and
 * results, see `engine/threads/record/access-log.ts`.
 *
 * Matched are the guest's own accesses, in order, with their results, and the hypercalls and upcalls between them. What
 * the hypervisor does inside, and looks at the clock, are not in the log and match anything. Of a spin-wait loop the
 * log has one turn for many; a turn may be repeated here.
 */

import type { MarkKind } from '../engine/inline/inline-machine';
import type { MachineState } from '../engine/inline/machine-state';
import { LOG_EXPECTED, LOG_OPERAND, LOG_RESULT, LOG_TAG, RECORD } from '../engine/inline/operation-log';
import { KIND_BITS, KIND_MASK, Op } from '../engine/inline/ops';
import { domainOf, hypercallNumber, type LoggedAccess, LogKind } from '../engine/threads';

/** Where a follower stands; plain data, so that it can be put back. */
export interface Place {
  /** Records matched. */
  readonly next: number;
  /** The first record of the turn of a loop before the last relax(), and of the turn after it. */
  readonly turnBefore: number;
  readonly turn: number;
  readonly inHypercall: boolean;
  /** Between the look that finds an upcall and the event callback, or after that: the processor's own accesses. */
  readonly entering: boolean;
  /** The number a choice comes to, where it is made digit by digit: what is left of it, and of its range. */
  readonly value: number;
}

const START: Place = { next: 0, turnBefore: 0, turn: 0, inHypercall: false, entering: false, value: -1 };

/** A domain's memory in the engine's address space. */
export interface Extent {
  readonly base: number;
  readonly end: number;
}

interface Mark {
  readonly position: number;
  readonly kind: MarkKind;
  readonly text: string;
}

/** Operations with one operand byte. */
const BYTES: readonly number[] = [Op.WRITE8, Op.STORE8, Op.ADD8, Op.AND8, Op.OR8, Op.XOR8, Op.EXCHANGE8, Op.CAS8];
const RESULTLESS: readonly number[] = [Op.WRITE8, Op.WRITE32, Op.STORE8, Op.STORE32, Op.FENCE, Op.RELAX];

/** Accesses to the domain's memory are logged; what else is read outside hypercalls, the processor reads. */
const PLACELESS: readonly number[] = [Op.FENCE, Op.RELAX, Op.CHOOSE];

function isWait(kind: number): boolean {
  return kind === Op.WAIT || kind === Op.WAIT_END || kind === Op.NOTIFY;
}

export class LogFollower {
  place = START;
  private readonly marks: Mark[] = [];

  /**
   * @param actor - in the engine
   * @param memories - of all domains: what a guest reaches, its own or through its window
   */
  constructor(
    private readonly state: MachineState,
    readonly actor: number,
    private readonly records: readonly LoggedAccess[],
    private readonly memories: readonly Extent[],
  ) {}

  /** The guest has come to its position and does this before its next operation. */
  mark(position: number, kind: MarkKind, text: string): void {
    const { marks } = this;
    while (marks.length > 0 && (marks.at(-1) as Mark).position > position) marks.pop();
    if (!marks.some((known) => known.position === position && known.kind === kind))
      marks.push({ position, kind, text });
  }

  /** All of the log has been matched: the vCPU was stopped here, or had ended. */
  get isOver(): boolean {
    return this.place.next >= this.records.length;
  }

  /** When, on the log's clock, the next thing happens. */
  get tick(): number {
    const at = this.place.inHypercall ? this.place.next - 1 : this.place.next;
    return this.records[at]?.tick ?? Number.POSITIVE_INFINITY;
  }

  /** Whether the pending operation, executed now, comes to what the log has. */
  fitsNow(): boolean {
    const { state, actor } = this;
    const position = state.pos[actor] as number;
    const place = this.afterMarks(position, this.place);
    if (place === undefined) return false;
    const log = state.logs[actor] as Int32Array;
    const at = position * RECORD;
    const tag = log[at + LOG_TAG] as number;
    const kind = tag & KIND_MASK;
    const address = tag >>> KIND_BITS;
    if (kind === Op.WINDOW && !place.inHypercall && !place.entering) return this.windowFits(place, address);
    if (!this.isMatched(kind, address, place)) return true;
    const result = this.resultNow(kind, address, log[at + LOG_OPERAND] as number);
    return this.match(log, at, result, place) !== undefined;
  }

  /** An upcall comes next in the log, and the pending look would not find it yet. */
  get awaitsUpcall(): boolean {
    const { state, actor, place } = this;
    if (place.entering || this.records[place.next]?.kind !== LogKind.UPCALL) return false;
    const tag = (state.logs[actor] as Int32Array)[(state.pos[actor] as number) * RECORD + LOG_TAG] as number;
    return (tag & KIND_MASK) === Op.WINDOW && !this.deliverable(tag >>> KIND_BITS);
  }

  /** Goes past an operation that was executed. Returns false if the log has something else. */
  follow(position: number): boolean {
    const log = this.state.logs[this.actor] as Int32Array;
    const at = position * RECORD;
    const marked = this.afterMarks(position, this.place);
    if (marked === undefined) return false;
    const tag = log[at + LOG_TAG] as number;
    const kind = tag & KIND_MASK;
    const result = log[at + LOG_RESULT] as number;
    let place: Place | undefined = marked;
    if (kind === Op.WINDOW) place = { ...marked, entering: result !== 0 };
    else if (this.isMatched(kind, tag >>> KIND_BITS, marked)) place = this.match(log, at, result, marked);
    if (place === undefined) return false;
    this.place = place;
    return true;
  }

  /** What a choice below `count` comes to. */
  choice(count: number): number {
    const place = this.afterMarks(this.state.pos[this.actor] as number, this.place) ?? this.place;
    const record = this.records[place.next];
    if (record?.kind !== Op.CHOOSE || record.operand !== count) return 0;
    return record.result;
  }

  private isMatched(kind: number, address: number, { inHypercall, entering, next }: Place): boolean {
    if (inHypercall || entering || next >= this.records.length) return false;
    if (PLACELESS.includes(kind)) return true;
    if (kind > Op.CAS32 && !isWait(kind)) return false;
    return this.memories.some(({ base, end }) => address >= base && address < end);
  }

  /** The place when the marks before an operation have been passed; undefined if the log has others. */
  private afterMarks(position: number, from: Place): Place | undefined {
    let place: Place | undefined = from;
    for (const mark of this.marks) {
      if (mark.position !== position || place === undefined) continue;
      place = this.pass(mark, place);
    }
    return place;
  }

  private pass({ kind, text }: Mark, place: Place): Place | undefined {
    const record = this.records[place.next];
    const next = place.next + 1;
    const over = record === undefined;
    switch (kind) {
      case 'hypercall':
        if (over) return { ...place, inHypercall: true };
        if (record.kind !== LogKind.HYPERCALL || record.operand !== hypercallNumber(text)) return undefined;
        return { ...place, next, inHypercall: true };
      case 'hypercall-end':
        if (over) return { ...place, inHypercall: false };
        return record.kind === LogKind.HYPERCALL_END ? { ...place, next, inHypercall: false } : undefined;
      case 'upcall':
        if (over) return { ...place, entering: false };
        return record.kind === LogKind.UPCALL ? { ...place, next, entering: false } : undefined;
      case 'upcall-end':
        if (over) return { ...place, entering: true };
        return record.kind === LogKind.UPCALL_END ? { ...place, next, entering: true } : undefined;
      default:
        return place;
    }
  }

  /** A look for upcalls finds one when, and only when, the log has one next. */
  private windowFits(place: Place, address: number): boolean {
    return (
      !this.deliverable(address) ||
      place.next >= this.records.length ||
      this.records[place.next]?.kind === LogKind.UPCALL
    );
  }

  /** @param address - of a vcpu_info */
  private deliverable(address: number): boolean {
    const { u8 } = this.state;
    return u8[address] !== 0 && u8[address + 1] === 0;
  }

  private match(log: Int32Array, at: number, result: number, place: Place): Place | undefined {
    const record = this.records[place.next] as LoggedAccess;
    if (this.sameAccess(log, at, result, record)) return this.step(place, record);
    // Or the loop takes another turn like the one before.
    const again = place.turnBefore + (place.next - place.turn);
    const repeated = this.records[again];
    if (place.turn === place.turnBefore || repeated === undefined || again >= place.turn) return undefined;
    if (!this.turnsAgreeSoFar(place) || !this.sameAccess(log, at, result, repeated)) return undefined;
    return this.step({ ...place, next: again, turn: place.turnBefore }, repeated);
  }

  private turnsAgreeSoFar({ next, turn, turnBefore }: Place): boolean {
    for (let i = 0; i < next - turn; i++) {
      const one = this.records[turn + i] as LoggedAccess;
      const other = this.records[turnBefore + i] as LoggedAccess;
      if (one.kind !== other.kind || one.address !== other.address || one.result !== other.result) return false;
    }
    return true;
  }

  private step(place: Place, { kind }: LoggedAccess): Place {
    const next = place.next + 1;
    return kind === Op.RELAX ? { ...place, next, turnBefore: place.turn, turn: next } : { ...place, next };
  }

  private sameAccess(log: Int32Array, at: number, result: number, record: LoggedAccess): boolean {
    const tag = log[at + LOG_TAG] as number;
    const kind = tag & KIND_MASK;
    if (kind !== record.kind) return false;
    if (kind === Op.RELAX || kind === Op.FENCE) return true;
    // Larger choices are made digit by digit.
    if (kind === Op.CHOOSE) return record.operand === log[at + LOG_OPERAND];
    const memory = this.memories[domainOf(record.region)];
    if (tag >>> KIND_BITS !== (memory?.base ?? 0) + record.address) return false;
    if (kind === Op.WAIT_END) return result === record.result;
    const mask = BYTES.includes(kind) ? 0xff : -1;
    if (((log[at + LOG_OPERAND] as number) & mask) !== (record.operand & mask)) return false;
    if (((log[at + LOG_EXPECTED] as number) & mask) !== (record.expected & mask)) return false;
    return RESULTLESS.includes(kind) || kind === Op.NOTIFY || result === record.result;
  }

  private resultNow(kind: number, address: number, operand: number): number {
    const { u8, i32 } = this.state;
    const word = i32[address >> 2] as number;
    if (kind === Op.WAIT) return word === operand ? 0 : 1;
    if (kind === Op.WAIT_END) return 0;
    return kind === Op.READ8 || (kind >= Op.LOAD8 && kind <= Op.CAS8) ? (u8[address] as number) : word;
  }
}
