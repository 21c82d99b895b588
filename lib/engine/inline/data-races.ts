/**
 * Data races of an execution: two plain accesses of different programs to the same byte, one of them a write, that nothing
 * orders. It is looked at as a whole once it is over, whoever chose its schedule, so going back costs nothing.
 *
 * A vector clock per program and per word by which programs are ordered: who reads a word by an atomic operation comes
 * after those who changed it by one; who takes a lock, after those who gave it back; who is woken, after the waker. So
 * an event orders its handler after its sender. Fences order nothing by themselves.
 *
 * The hypervisor's own plain accesses do not count: they follow protocols of versions and locks that Xen has. Under TSO an
 * access takes place where the program makes it.
 */
import type { MachineState } from './machine-state';
import { LOG_EXPECTED, LOG_RESULT, LOG_TAG, RECORD } from './operation-log';
import { BY_HYPERVISOR, DEADLINE_ADDRESS, isBracket, KIND_BITS, KIND_MASK, NARROW, Op } from './ops';

/** Two operations, by their numbers in the execution (brackets of atomic hypercalls not counted), and who made them. */
export interface DataRace {
  readonly first: number;
  readonly second: number;
  readonly firstActor: number;
  readonly secondActor: number;
  readonly firstTag: number;
  readonly secondTag: number;
}

/** What orders programs, besides a word's value: each has a clock of its own. */
const Order = { VALUE: 0, READERS: 1, SLEEP: 2 } as const;
const ORDERS = 4;

/** Per program and byte of a word: clock and number of its last read, the same of its last write. */
const ACCESS_SLOTS = 4;
const READ = 0;
const WRITE = 2;

/** Clocks by key, in one array that grows; all zero at first. */
class Rows {
  private readonly rowOf = new Map<number, number>();
  data: Int32Array;

  constructor(private readonly width: number) {
    this.data = new Int32Array(width * 64);
  }

  clear(): void {
    this.data.fill(0, 0, this.rowOf.size * this.width);
    this.rowOf.clear();
  }

  /** Where the row of a key begins, or -1. */
  find(key: number): number {
    return this.rowOf.get(key) ?? -1;
  }

  at(key: number): number {
    const known = this.rowOf.get(key);
    if (known !== undefined) return known;
    const row = this.rowOf.size * this.width;
    this.rowOf.set(key, row);
    if (row + this.width > this.data.length) {
      const larger = new Int32Array(this.data.length * 2);
      larger.set(this.data);
      this.data = larger;
    }
    return row;
  }
}

export class DataRaces {
  private readonly programs: number;
  private readonly clocks: Int32Array;
  private readonly orders: Rows;
  private readonly accesses: Rows;
  /** Scratch: the program and number of an access that races with the one looked at. */
  private $racer = -1;
  private $number = -1;

  constructor(private readonly state: MachineState) {
    this.programs = state.programs;
    this.clocks = new Int32Array(this.programs * this.programs);
    this.orders = new Rows(this.programs);
    this.accesses = new Rows(this.programs * 4 * ACCESS_SLOTS);
  }

  /** The first data race of the execution that the state holds. */
  find(): DataRace | undefined {
    const { state, programs, clocks } = this;
    clocks.fill(0);
    for (let program = 0; program < programs; program++) clocks[program * programs + program] = 1;
    this.orders.clear();
    this.accesses.clear();
    let number = 0;
    for (let event = 0; event < state.depth; event++) {
      const actor = state.evActor[event] as number;
      const log = state.logs[actor] as Int32Array;
      const end = state.endOf(event);
      for (let position = state.evFirst[event] as number; position < end; position++) {
        const at = position * RECORD;
        const tag = log[at + LOG_TAG] as number;
        const kind = tag & KIND_MASK;
        if (isBracket(kind)) continue;
        if (actor < programs) {
          if (kind > Op.WRITE32) this.order(actor, kind, tag >>> KIND_BITS, log, at);
          else if (log[at + LOG_EXPECTED] !== BY_HYPERVISOR && this.races(actor, kind, tag >>> KIND_BITS, number)) {
            return this.describe(number, actor, tag);
          }
        }
        number++;
      }
    }
    return undefined;
  }

  /** Takes a plain access in. Returns whether it races with an earlier one. */
  private races(actor: number, kind: number, address: number, number: number): boolean {
    const { programs, clocks, accesses } = this;
    const writes = kind === Op.WRITE8 || kind === Op.WRITE32;
    const row = accesses.at(address >> 2);
    const { data } = accesses;
    const from = NARROW[kind] === 1 ? address & 3 : 0;
    const to = NARROW[kind] === 1 ? from + 1 : 4;
    for (let byte = from; byte < to; byte++) {
      for (let other = 0; other < programs; other++) {
        const slot = row + (other * 4 + byte) * ACCESS_SLOTS;
        if (other === actor) {
          const mine = slot + (writes ? WRITE : READ);
          data[mine] = clocks[actor * programs + actor] as number;
          data[mine + 1] = number;
          continue;
        }
        const seen = clocks[actor * programs + other] as number;
        const at = (data[slot + WRITE] as number) > seen ? slot + WRITE : slot + READ;
        if ((data[at] as number) <= seen || (at === slot + READ && !writes)) continue;
        this.$racer = other;
        this.$number = data[at + 1] as number;
        return true;
      }
    }
    return false;
  }

  private describe(second: number, secondActor: number, secondTag: number): DataRace {
    const first = this.$number;
    return { first, second, firstActor: this.$racer, secondActor, firstTag: this.tagOf(first), secondTag };
  }

  private tagOf(wanted: number): number {
    const { state } = this;
    let number = 0;
    for (let event = 0; event < state.depth; event++) {
      const log = state.logs[state.evActor[event] as number] as Int32Array;
      for (let position = state.evFirst[event] as number; position < state.endOf(event); position++) {
        const tag = log[position * RECORD] as number;
        if (!isBracket(tag & KIND_MASK) && number++ === wanted) return tag;
      }
    }
    return 0;
  }

  /** Takes an operation in that orders its program with others. */
  private order(actor: number, kind: number, address: number, log: Int32Array, at: number): void {
    const word = (address >> 2) * ORDERS;
    const result = log[at + LOG_RESULT] as number;
    switch (kind) {
      case Op.LOAD8:
      case Op.LOAD32:
      case Op.AWAIT_CLEAR:
      case Op.WAIT:
        this.acquire(actor, word + Order.VALUE);
        return;
      case Op.WINDOW:
        if (result !== 0) this.acquire(actor, word + Order.VALUE);
        return;
      case Op.STORE8:
        this.release(actor, word + Order.VALUE, true);
        return;
      case Op.STORE32:
      case Op.WRITE_UNLOCK:
        this.release(actor, word + Order.VALUE, false);
        return;
      case Op.READ_TRYLOCK:
        if (result !== 0) this.acquire(actor, word + Order.VALUE);
        return;
      case Op.READ_LOCK:
        this.acquire(actor, word + Order.VALUE);
        return;
      case Op.READ_UNLOCK:
        this.release(actor, word + Order.READERS, true);
        return;
      case Op.WRITE_LOCK:
        this.acquire(actor, word + Order.VALUE);
        this.acquire(actor, word + Order.READERS);
        return;
      case Op.NOTIFY:
        this.release(actor, word + Order.SLEEP, true);
        return;
      case Op.WAIT_END:
        if (result === 0) this.acquire(actor, word + Order.SLEEP);
        return;
      case Op.TIMER_SET:
        this.release(actor, (DEADLINE_ADDRESS >> 2) * ORDERS, true);
        return;
      case Op.TIMER_WAIT:
        this.acquire(actor, (DEADLINE_ADDRESS >> 2) * ORDERS);
        return;
      default:
        if (kind <= Op.CAS32) this.update(actor, kind, word, result, log[at + LOG_EXPECTED] as number);
    }
  }

  private update(actor: number, kind: number, word: number, result: number, expected: number): void {
    this.acquire(actor, word + Order.VALUE);
    if (kind === Op.CAS32 && result !== expected) return;
    if (kind === Op.CAS8 && result !== (expected & 0xff)) return;
    this.release(actor, word + Order.VALUE, true);
  }

  private acquire(actor: number, key: number): void {
    const { programs, clocks, orders } = this;
    const row = orders.find(key);
    if (row < 0) return;
    for (let other = 0; other < programs; other++) {
      const theirs = orders.data[row + other] as number;
      if (theirs > (clocks[actor * programs + other] as number)) clocks[actor * programs + other] = theirs;
    }
  }

  /** @param keeps - what was released there before still counts: the word holds part of it, or is no value at all */
  private release(actor: number, key: number, keeps: boolean): void {
    const { programs, clocks, orders } = this;
    const row = orders.at(key);
    for (let other = 0; other < programs; other++) {
      const mine = clocks[actor * programs + other] as number;
      if (!keeps || mine > (orders.data[row + other] as number)) orders.data[row + other] = mine;
    }
    clocks[actor * programs + actor] = (clocks[actor * programs + actor] as number) + 1;
  }
}
