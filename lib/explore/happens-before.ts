/**
 * Who happens before whom in the current execution, and which pairs of steps race.
 *
 * One vector clock per event. An event's conflicting predecessors are found by walking the list of accesses to the
 * words it touches, newest first, until an earlier write covers every byte. A race is a conflicting pair that
 * nothing else orders: the later step could have come first. Where the later step waits for a condition (a lock, a
 * blocked vCPU, a spin loop), the pair is a race if the condition holds without the earlier step and what follows
 * from it; steps without which it does not hold are passed over, to find the one before which it did.
 */
import type { MachineState } from '../engine/inline/machine-state';
import { LOG_AFTER, LOG_OPERAND, LOG_RESULT, RECORD } from '../engine/inline/operation-log';
import {
  byteFoot,
  DEADLINE_ADDRESS,
  DRAINS,
  EVERYTHING,
  GUARDED,
  KIND_BITS,
  KIND_MASK,
  LOOKS,
  MANY,
  NARROW,
  Op,
  READS,
  SHARES,
  SLEEPER_ADDRESS,
  TICK_ADDRESS,
  WRITES,
  wordFoot,
} from '../engine/inline/ops';
import { released } from '../engine/inline/readiness';

const LINK = 3;

export class HappensBefore {
  /** Pairs that race: first event, second event, footprint of the second if it came first. */
  raceFirst = new Int32Array(256);
  raceSecond = new Int32Array(256);
  raceFoot = new Int32Array(256);
  races = 0;

  private readonly width: number;
  private clocks: Int32Array;
  private capacity = 256;
  /** Per event: its number among its actor's events (from 1); the actor's event before it (or -1). */
  sequence = new Int32Array(256);
  private before = new Int32Array(256);
  /** Per event: tops of the stacks below, as they were before it. */
  private raceMark = new Int32Array(256);
  private linkMark = new Int32Array(256);
  /** Per actor: its newest event, or -1. */
  readonly last: Int32Array;
  /** Accesses: event, footprint, older access to the same word. */
  private links = new Int32Array(LINK * 512);
  private linkTop = 1;
  private readonly heads: Int32Array;
  /** Newest event that depends on everything, or -1. */
  private readonly candidates: number[] = [];
  private readonly raceClock: Int32Array;

  constructor(private readonly state: MachineState) {
    this.width = state.actors;
    this.clocks = new Int32Array(this.width * this.capacity);
    this.last = new Int32Array(state.actors).fill(-1);
    this.heads = new Int32Array(state.i32.length);
    this.raceClock = new Int32Array(this.width);
  }

  /** Whether `event` happens before `later` (or is it). */
  ordered(event: number, later: number): boolean {
    const actor = this.state.evActor[event] as number;
    return (this.clocks[later * this.width + actor] as number) >= (this.sequence[event] as number);
  }

  /** Takes in the event `state.depth - 1`, just executed. */
  add(): void {
    const state = this.state;
    const event = state.depth - 1;
    const actor = state.evActor[event] as number;
    const foot = state.evFoot[event] as number;
    const kind = this.kindOf(actor, state.evFirst[event] as number);
    const row = this.open(event, actor);
    this.joinStructure(actor, kind, row);
    if (foot === EVERYTHING) {
      for (let other = 0; other < this.width; other++) this.join(row, this.last[other] as number);
      this.enter(event, state.tickFoot);
    } else if (foot !== 0) {
      const section = state.isSection(event);
      if (section || GUARDED[kind] === 1 || (foot & MANY) !== 0) {
        // What an atomic hypercall would have touched without an earlier step nobody knows.
        this.conflictsOfMany(event, actor, kind, foot, section ? EVERYTHING : foot, row, true);
      } else this.conflicts(event, kind, foot, row);
      this.enter(event, foot);
    }
    this.last[actor] = event;
  }

  /**
   * Finds the races of an actor that waits in vain at the end, as if its step came at `event` (not below depth).
   */
  addPending(event: number, actor: number): void {
    const state = this.state;
    const foot = state.operationFoot(actor);
    const row = this.open(event, actor);
    const kind = this.kindOf(actor, state.pos[actor] as number);
    this.joinStructure(actor, kind, row);
    if (foot !== 0 && foot !== EVERYTHING) {
      this.conflictsOfMany(event, actor, kind, foot, state.isInside(actor) ? EVERYTHING : foot, row, false);
    }
    this.pendingActor[event - state.depth] = actor;
  }

  private readonly pendingActor: number[] = [];

  actorOf(event: number): number {
    const depth = this.state.depth;
    return event < depth ? (this.state.evActor[event] as number) : (this.pendingActor[event - depth] as number);
  }

  /** Forgets the events from `depth` on. Call before the state takes them back. */
  rollback(depth: number, to: number): void {
    const { links, heads } = this;
    const mark = this.linkMark[to] as number;
    for (let link = this.linkTop - 1; link >= mark; link--) {
      heads[(links[link * LINK + 1] as number) >>> 8] = links[link * LINK + 2] as number;
    }
    this.linkTop = mark;
    this.races = this.raceMark[to] as number;
    for (let event = depth - 1; event >= to; event--) {
      this.last[this.state.evActor[event] as number] = this.before[event] as number;
    }
  }

  /** Forgets races found by {@link addPending}. */
  dropPending(depth: number): void {
    this.races = this.raceMark[depth] as number;
  }

  /** Starts an event's clock from its actor's last one. Returns where the row begins. */
  private open(event: number, actor: number): number {
    if (event + 2 >= this.capacity) this.grow();
    const previous = this.last[actor] as number;
    const row = event * this.width;
    if (previous < 0) this.clocks.fill(0, row, row + this.width);
    else this.clocks.copyWithin(row, previous * this.width, (previous + 1) * this.width);
    const sequence = previous < 0 ? 1 : (this.sequence[previous] as number) + 1;
    this.clocks[row + actor] = sequence;
    this.sequence[event] = sequence;
    this.before[event] = previous;
    this.raceMark[event] = this.races;
    this.linkMark[event] = this.linkTop;
    return row;
  }

  /** Orders that no schedule can turn round: a flush after its store, a locked operation after the flushes. */
  private joinStructure(actor: number, kind: number, row: number): void {
    const state = this.state;
    if (!state.tso) return;
    if (actor === state.time) return;
    if (actor >= state.programs) this.join(row, state.storeOfLastFlush(actor));
    else if (DRAINS[kind] === 1) this.join(row, this.last[actor + state.programs] as number);
  }

  private join(row: number, event: number): void {
    if (event < 0) return;
    const clocks = this.clocks;
    const other = event * this.width;
    for (let actor = 0; actor < this.width; actor++) {
      const theirs = clocks[other + actor] as number;
      if (theirs > (clocks[row + actor] as number)) clocks[row + actor] = theirs;
    }
  }

  /** The conflicts of a step on one word that never waits. */
  private conflicts(event: number, kind: number, foot: number, row: number): void {
    const { links, clocks, sequence } = this;
    const actors = this.state.evActor;
    const { tso } = this.state;
    const own = actors[event] as number;
    let bytes = foot & 0xf0;
    const access = foot & 7;
    for (let link = this.heads[foot >>> 8] as number; link !== 0; link = links[link * LINK + 2] as number) {
      const seen = links[link * LINK + 1] as number;
      if ((seen & bytes) === 0) continue;
      if (((seen | access) & 7) > SHARES) {
        const earlier = links[link * LINK] as number;
        const actor = actors[earlier] as number;
        const exempt = tso && this.state.isOwnFlush(actor, seen, own, foot);
        if (!exempt && (clocks[row + actor] as number) < (sequence[earlier] as number)) {
          this.race(earlier, event, kind >= Op.CAS8 ? this.footWithout(earlier, event, kind, foot) : foot);
          this.join(row, earlier);
        }
      }
      // A flush does not cover what came before it: loads of its own program are not ordered with it.
      if ((seen & WRITES) !== 0 && !(tso && this.isFlush(links[link * LINK] as number))) {
        bytes &= ~seen;
        if (bytes === 0) return;
      }
    }
  }

  private isFlush(event: number): boolean {
    return (this.state.evActor[event] as number) >= this.state.programs;
  }

  /**
   * The conflicts of a step that touches several words or waits.
   * @param raceFoot - its footprint if it came before a step it races with
   */
  private conflictsOfMany(
    event: number,
    actor: number,
    kind: number,
    foot: number,
    raceFoot: number,
    row: number,
    executed: boolean,
  ): void {
    const { candidates, state, links } = this;
    const guarded = GUARDED[kind] === 1;
    candidates.length = 0;
    const feet = (foot & MANY) !== 0 ? state.feet.of(foot) : [foot];
    for (const one of feet) {
      let bytes = one & 0xf0;
      for (let link = this.heads[one >>> 8] as number; link !== 0; link = links[link * LINK + 2] as number) {
        const seen = links[link * LINK + 1] as number;
        if ((seen & bytes) === 0) continue;
        const earlier = links[link * LINK] as number;
        const exempt = state.tso && state.isOwnFlush(state.evActor[earlier] as number, seen, actor, one);
        if (((seen | one) & 7) > SHARES && !exempt) candidates.push(earlier);
        // What came before a write is ordered with it already; a step that waits may have to look past it.
        if (guarded || (seen & WRITES) === 0 || (state.tso && this.isFlush(earlier))) continue;
        bytes &= ~seen;
        if (bytes === 0) break;
      }
    }
    candidates.sort((a, b) => b - a);
    const raceClock = this.raceClock;
    const clocks = this.clocks;
    for (let other = 0; other < this.width; other++) raceClock[other] = clocks[row + other] as number;
    for (const earlier of candidates) {
      const by = state.evActor[earlier] as number;
      if ((raceClock[by] as number) < (this.sequence[earlier] as number)) {
        if (!guarded || this.holdsWithout(earlier, event, actor, kind, executed)) {
          this.race(earlier, event, raceFoot);
          for (let other = 0; other < this.width; other++) {
            const theirs = clocks[earlier * this.width + other] as number;
            if (theirs > (raceClock[other] as number)) raceClock[other] = theirs;
          }
        }
      }
    }
    for (const earlier of candidates) this.join(row, earlier);
  }

  private race(first: number, second: number, foot: number): void {
    const at = this.races++;
    if (at === this.raceFirst.length) {
      this.raceFirst = twice(this.raceFirst);
      this.raceSecond = twice(this.raceSecond);
      this.raceFoot = twice(this.raceFoot);
    }
    this.raceFirst[at] = first;
    this.raceSecond[at] = second;
    this.raceFoot[at] = foot;
  }

  private enter(event: number, foot: number): void {
    if ((foot & MANY) !== 0) {
      for (const one of this.state.feet.of(foot)) this.enter(event, one);
      return;
    }
    const link = this.linkTop++;
    if ((link + 1) * LINK > this.links.length) this.links = twice(this.links);
    const { links, heads } = this;
    links[link * LINK] = event;
    links[link * LINK + 1] = foot;
    links[link * LINK + 2] = heads[foot >>> 8] as number;
    heads[foot >>> 8] = link;
  }

  private kindOf(actor: number, position: number): number {
    return ((this.state.logs[actor] as Int32Array)[position * RECORD] as number) & KIND_MASK;
  }

  /** The kind of an executed event. */
  kindAt(event: number): number {
    return this.kindOf(this.state.evActor[event] as number, this.state.evFirst[event] as number);
  }

  /** The result of an executed event. */
  resultAt(event: number): number {
    return this.slotAt(event, LOG_RESULT);
  }

  /** The operand of an executed event. */
  operandAt(event: number): number {
    return this.slotAt(event, LOG_OPERAND);
  }

  private slotAt(event: number, slot: number): number {
    const log = this.state.logs[this.state.evActor[event] as number] as Int32Array;
    return log[(this.state.evFirst[event] as number) * RECORD + slot] as number;
  }

  /**
   * A word as it would be just before `event` had neither `without` nor anything that follows from it happened.
   * Writes to the same bytes are ordered, so of those to a byte all after the first that follows from `without` do too: the
   * oldest of them knows. What the reader has stored itself it sees, flushed or not, over all that came to memory before the flush.
   * @param reader - whose store buffer to read through; -1 for memory itself
   */
  private wordWithout(word: number, without: number, event: number, reader: number): number {
    const { links, state } = this;
    let value = event === state.depth - 1 ? state.oldWord(event, word) : (state.i32[word] as number);
    let open = -1;
    let own = -1;
    if (reader >= 0 && state.tso) {
      own = reader + state.programs;
      const buffered = state.bufferedBytes(reader, word << 2);
      value = (value & ~buffered) | (state.look32(reader, word << 2) & buffered);
      open = ~buffered;
    }
    for (let link = this.heads[word] as number; link !== 0 && open !== 0; link = links[link * LINK + 2] as number) {
      const writer = links[link * LINK] as number;
      if (writer < without) break;
      const foot = links[link * LINK + 1] as number;
      if ((foot & WRITES) === 0) continue;
      const bytes = byteMask(foot) & open;
      if (state.evActor[writer] === own) open &= ~bytes;
      else if (writer === without || this.ordered(without, writer)) {
        value = (value & ~bytes) | (state.wordAtStart(writer, word) & bytes);
      }
    }
    return value;
  }

  /** The footprint a conditional step would have without an earlier event: a compare-exchange may fail there. */
  private footWithout(without: number, event: number, kind: number, foot: number): number {
    const state = this.state;
    const actor = state.evActor[event] as number;
    const log = state.logs[actor] as Int32Array;
    const at = (state.evFirst[event] as number) * RECORD;
    const address = (log[at] as number) >>> KIND_BITS;
    if (kind !== Op.CAS8 && kind !== Op.CAS32 && kind !== Op.WAIT && kind !== Op.WINDOW) return foot;
    // Of these only a window looks through the store buffer; the others wait until it is empty.
    const word = this.wordWithout(address >> 2, without, event, kind === Op.WINDOW ? actor : -1);
    switch (kind) {
      case Op.CAS8: {
        const byte = (word >>> ((address & 3) * 8)) & 0xff;
        return byteFoot(address, byte === ((log[at + 2] as number) & 0xff) ? WRITES : READS);
      }
      case Op.CAS32:
        return wordFoot(address, word === log[at + 2] ? WRITES : READS);
      case Op.WAIT:
        return wordFoot(address, word === log[at + LOG_OPERAND] ? WRITES : READS);
      default: {
        const masked = (word >>> (((address + 1) & 3) * 8)) & 0xff;
        return masked !== 0 ? byteFoot(address + 1, READS) : wordFoot(address, READS) & ~0xc0;
      }
    }
  }

  /** Whether what a waiting step waits for holds without an earlier event and all that follows from it. */
  private holdsWithout(without: number, event: number, actor: number, kind: number, executed: boolean): boolean {
    const state = this.state;
    const log = state.logs[actor] as Int32Array;
    const position = executed ? (state.evFirst[event] as number) : (state.pos[actor] as number);
    const at = position * RECORD;
    const word = (log[at] as number) >>> (KIND_BITS + 2);
    switch (kind) {
      case Op.READ_LOCK:
        return this.lockWithout(word, without, event) >= 0;
      case Op.WRITE_LOCK:
        return this.lockWithout(word, without, event) === 0;
      case Op.AWAIT_CLEAR:
        return released(this.wordWithout(word, without, event, -1), log[at + LOG_OPERAND] as number);
      case Op.TIMER_WAIT:
        return this.wordWithout(DEADLINE_ADDRESS >> 2, without, event, -1) !== 0;
      case Op.PARK:
        return false;
      case Op.RELAX:
        return this.changedWithout(without, event, actor, position);
      default:
        return log[at + LOG_OPERAND] === 1 || (executed && this.notifiedWithout(without, event, actor));
    }
  }

  /** Whether the notification that woke the actor came without `without`. */
  private notifiedWithout(without: number, event: number, actor: number): boolean {
    const word = (SLEEPER_ADDRESS >> 2) + actor;
    for (let other = event - 1; other >= without; other--) {
      if (this.state.wrote(other, word)) return other !== without && !this.ordered(without, other);
    }
    return true;
  }

  /**
   * A lock as it would be: what the newest exclusive change that stays has left, and the shared acquisitions and releases
   * since. Those commute, so they are counted.
   */
  private lockWithout(word: number, without: number, event: number): number {
    const { links, state } = this;
    let more = 0;
    for (let link = this.heads[word] as number; link !== 0; link = links[link * LINK + 2] as number) {
      const other = links[link * LINK] as number;
      if (other <= without) break;
      if (other === event || this.ordered(without, other)) continue;
      if (((links[link * LINK + 1] as number) & WRITES) !== 0) return state.wordAfter(other, word) + more;
      more += this.shared(other, word);
    }
    return state.wordAtStart(without, word) + more;
  }

  /** How many more shared holders a lock has after an event than before. */
  private shared(event: number, word: number): number {
    const { state } = this;
    const log = state.logs[state.evActor[event] as number] as Int32Array;
    let more = 0;
    for (let position = state.evFirst[event] as number; position < state.endOf(event); position++) {
      const at = position * RECORD;
      const tag = log[at] as number;
      if (tag >>> (KIND_BITS + 2) !== word) continue;
      const kind = tag & KIND_MASK;
      if (kind === Op.READ_LOCK || (kind === Op.READ_TRYLOCK && log[at + LOG_RESULT] === 1)) more++;
      else if (kind === Op.READ_UNLOCK) more--;
    }
    return more;
  }

  /** Whether something the actor has read since its last RELAX would be different. */
  private changedWithout(without: number, event: number, actor: number, position: number): boolean {
    const state = this.state;
    const log = state.logs[actor] as Int32Array;
    const ticks = this.wordWithout(TICK_ADDRESS >> 2, without, event, -1);
    if (log[position * RECORD + LOG_AFTER] !== ticks) return true;
    for (let record = position - 1; record >= 0; record--) {
      const at = record * RECORD;
      const tag = log[at] as number;
      const kind = tag & KIND_MASK;
      if (kind === Op.RELAX) break;
      if (LOOKS[kind] !== 1) continue;
      const address = tag >>> KIND_BITS;
      const word = this.wordWithout(address >> 2, without, event, actor);
      const only = kind <= Op.LOAD8 || kind === Op.LOAD32 || kind === Op.WINDOW || kind === Op.NOW;
      const saw = log[at + (only ? LOG_RESULT : LOG_AFTER)] as number;
      let now = word;
      if (kind === Op.WINDOW) now = (word & 0xff) !== 0 && (word & 0xff00) === 0 ? 1 : 0;
      else if (NARROW[kind] === 1) now = (word >>> ((address & 3) * 8)) & 0xff;
      if (now !== saw) return true;
    }
    return false;
  }

  private grow(): void {
    this.capacity *= 2;
    this.clocks = twice(this.clocks);
    this.sequence = twice(this.sequence);
    this.before = twice(this.before);
    this.raceMark = twice(this.raceMark);
    this.linkMark = twice(this.linkMark);
  }
}

function twice(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** The bits of a word that a footprint's bytes cover. */
function byteMask(foot: number): number {
  let mask = 0;
  for (let byte = 0; byte < 4; byte++) if ((foot & (0x10 << byte)) !== 0) mask |= 0xff << (byte * 8);
  return mask;
}
