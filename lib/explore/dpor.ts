/**
 * Optimal dynamic partial-order reduction: one execution per Mazurkiewicz trace.
 *
 * Source sets with sleep sets and wakeup trees, after Abdulla, Aronis, Jonsson, Sagonas: Source Sets: A Foundation
 * for Optimal Dynamic Partial Order Reduction (JACM 64(4), 2017). At the end of each execution every race (e, e') is
 * turned round: the steps after e that do not follow from it, then e', are a schedule to explore from the
 * state before e, unless a step asleep there could begin it (explored already) or the wakeup tree there holds an
 * equivalent one. Where no schedule is waiting, the actor of the last event goes on, so switches are few.
 *
 * Where hypercalls are atomic, source sets and sleep sets alone: still no trace is executed twice, but some executions are
 * given up before their end.
 */
import type { MachineState } from '../engine/inline/machine-state';
import { GUARDED, Op } from '../engine/inline/ops';
import type { Strategy } from '../engine/inline/strategy';
import { HappensBefore } from './happens-before';
import { bitCount } from './random';
import { choiceOf, choiceValue, StepSequence, WakeupForest } from './wakeup-tree';

/** Slots per depth of what is kept per actor. */
export const STRIDE = 32;

export class DporStrategy implements Strategy {
  readonly name = 'dpor';
  readonly eager = false;
  readonly runsDaemonsOut = true;
  blocked = 0;
  /** Events shared by all executions to come: what is to be explored lies below them. */
  protected root = 0;
  protected state!: MachineState;
  protected order!: HappensBefore;
  protected forest!: WakeupForest;
  /** Per depth: actors asleep, and the footprints of their next steps. */
  protected sleep = new Int32Array(256);
  protected sleepFeet = new Int32Array(256 * STRIDE);
  /** Per depth: first of the schedules waiting. */
  protected waiting = new Int32Array(256);
  /** Per depth: actors whose next step is a choice, some of its values explored already; and which values. */
  protected partial = new Int32Array(256);
  protected sleepValues = new Int32Array(256 * STRIDE);
  /** Per event that makes a choice: number of values (else 0), the value made, whether to try the others here. */
  protected valueCount = new Int32Array(256);
  protected value = new Int32Array(256);
  protected allValues = new Uint8Array(256);
  /** Per depth: branches that are behind. */
  protected tried = new Int32Array(256);
  /** What hangs below the schedule step just chosen, and the choice it is to make. */
  protected subtree = 0;
  protected wantedChoice = -1;
  private forcedActor = -1;
  private givenUp = false;
  private sequence!: StepSequence;
  /** Races by first event: heads per event, then links between races. */
  private bucket = new Int32Array(256);
  private nextRace = new Int32Array(256);

  attach(state: MachineState): void {
    this.state = state;
    this.order = new HappensBefore(state);
    this.forest = new WakeupForest();
    this.sequence = this.makeSequence();
  }

  protected makeSequence(): StepSequence {
    const { state, order } = this;
    return new StepSequence({
      ordered: (event, later) => order.ordered(event, later),
      dependent: (actor, foot, other, otherFoot) => state.dependent(actor, foot, other, otherFoot),
    });
  }

  begin(): void {
    this.givenUp = false;
  }

  choose(enabled: number): number {
    const depth = this.state.depth;
    if (this.forcedActor >= 0) {
      const actor = this.forcedActor;
      this.forcedActor = -1;
      return actor;
    }
    this.wantedChoice = -1;
    this.subtree = 0;
    this.valueCount[depth] = 0;
    const node = this.waiting[depth] as number;
    if (node !== 0) {
      const actor = this.forest.actor(node);
      this.waiting[depth] = this.forest.sibling(node);
      this.subtree = this.forest.child(node);
      this.wantedChoice = this.forest.choice(node);
      this.forest.release(node);
      if (((enabled >>> actor) & 1) === 0) throw new Error('dpor: a scheduled step is not enabled');
      return actor;
    }
    const awake = enabled & ~(this.sleep[depth] as number);
    if (awake === 0) {
      this.givenUp = true;
      return -1;
    }
    const last = depth > 0 ? (this.state.evActor[depth - 1] as number) : 0;
    if (((awake >>> last) & 1) !== 0) return last;
    return 31 - Math.clz32(awake & -awake);
  }

  chooseValue(actor: number, count: number): number {
    const depth = this.state.depth;
    let value = this.wantedChoice < 0 ? -1 : choiceValue(this.wantedChoice);
    this.allValues[depth] = value < 0 ? 1 : 0;
    if (value < 0) {
      const slept = ((this.partial[depth] as number) >>> actor) & 1 ? this.sleepValues[depth * STRIDE + actor] : 0;
      value = 31 - Math.clz32(~(slept as number) & -~(slept as number));
    }
    this.valueCount[depth] = count;
    this.value[depth] = value;
    return value;
  }

  executed(): void {
    const state = this.state;
    const depth = state.depth;
    const event = depth - 1;
    if (depth + 1 >= this.sleep.length) this.grow();
    this.order.add();
    this.waiting[depth] = this.subtree;
    this.tried[depth] = 0;
    this.subtree = 0;
    this.wantedChoice = -1;
    // Who stays asleep: those whose next step commutes with this one.
    let asleep = (this.sleep[event] as number) & ~(1 << (state.evActor[event] as number));
    const foot = state.evFoot[event] as number;
    const mover = state.evActor[event] as number;
    const sleepFeet = this.sleepFeet;
    for (let rest = asleep; rest !== 0; rest &= rest - 1) {
      const actor = 31 - Math.clz32(rest & -rest);
      const theirs = sleepFeet[event * STRIDE + actor] as number;
      if (state.dependent(actor, theirs, mover, foot)) asleep &= ~(1 << actor);
      else sleepFeet[depth * STRIDE + actor] = theirs;
    }
    this.sleep[depth] = asleep;
    let partial = this.partial[event] as number;
    if (partial !== 0) {
      partial &= ~(1 << (state.evActor[event] as number));
      for (let rest = partial; rest !== 0; rest &= rest - 1) {
        const actor = 31 - Math.clz32(rest & -rest);
        this.sleepValues[depth * STRIDE + actor] = this.sleepValues[event * STRIDE + actor] as number;
      }
    }
    this.partial[depth] = partial;
  }

  end(): void {
    const { state, order } = this;
    if (this.givenUp) {
      this.blocked++;
      // Without wakeup trees these are not in vain: what they have in common with others may show a race first.
      if (!state.atomicHypercalls) return;
    }
    const mark = order.races;
    let virtual = state.depth;
    for (let rest = state.waiting(); rest !== 0; rest &= rest - 1) {
      const actor = 31 - Math.clz32(rest & -rest);
      // Who waits for no more than its own store buffer is like all who have not been let go on.
      if (this.givenUp && state.tso && state.buffers(actor)) continue;
      if (this.givenUp && GUARDED[state.kind(actor)] !== 1) continue;
      order.addPending(virtual++, actor);
    }
    if (order.races > 0) this.reverseRaces();
    order.races = mark;
  }

  next(): number {
    const { state, order, forest } = this;
    for (let depth = state.depth - 1; depth >= this.root; depth--) {
      // What still waits below belongs to a branch that is over.
      if (this.waiting[depth + 1] !== 0) {
        forest.releaseAll(this.waiting[depth + 1] as number);
        this.waiting[depth + 1] = 0;
      }
      const actor = state.evActor[depth] as number;
      this.tried[depth] = (this.tried[depth] as number) + 1;
      if ((this.valueCount[depth] as number) > 0 && this.valueDone(depth, actor)) {
        if (this.allValues[depth] === 1) {
          this.forcedActor = actor;
          this.wantedChoice = -1;
          order.rollback(state.depth, depth);
          return depth;
        }
        if (this.waiting[depth] !== 0) {
          order.rollback(state.depth, depth);
          return depth;
        }
        continue;
      }
      this.sleep[depth] = (this.sleep[depth] as number) | (1 << actor);
      this.sleepFeet[depth * STRIDE + actor] = state.evFoot[depth] as number;
      if (this.waiting[depth] !== 0) {
        order.rollback(state.depth, depth);
        return depth;
      }
    }
    return -1;
  }

  /**
   * The part of the space that is behind, 0 to 1, if no more branches turned up than are known: each branch of a node weighs the
   * same (Knuth: Estimating the efficiency of backtrack programs, 1975). To be asked between executions. As reduction finds
   * branches while it goes, less is behind than this says.
   */
  explored(): number {
    const { state, forest } = this;
    let weight = 1;
    let behind = 0;
    for (let depth = this.root; depth <= state.depth; depth++) {
      const tried = this.tried[depth] as number;
      let branches = tried + (depth < state.depth || this.forcedActor >= 0 ? 1 : 0) + this.valuesLeft(depth);
      for (let node = this.waiting[depth] as number; node !== 0; node = forest.sibling(node)) branches++;
      if (branches === 0) break;
      behind += (weight * tried) / branches;
      weight /= branches;
    }
    return behind;
  }

  /** How many values of the choice made at this depth are yet to be tried there, besides the present one. */
  private valuesLeft(depth: number): number {
    return depth < this.state.depth ? bitCount(this.untriedValues(depth)) : 0;
  }

  /** The values of the choice made at this depth that are yet to be tried there, as a mask, without the present one. */
  protected untriedValues(depth: number): number {
    const count = this.valueCount[depth] as number;
    if (count === 0 || this.allValues[depth] === 0) return 0;
    const actor = this.state.evActor[depth] as number;
    const begun = ((this.partial[depth] as number) >>> actor) & 1;
    const slept = begun === 0 ? 0 : (this.sleepValues[depth * STRIDE + actor] as number);
    return ((1 << count) - 1) & ~slept & ~(1 << (this.value[depth] as number));
  }

  /** One value of a choice is explored. Returns whether others are left. */
  private valueDone(depth: number, actor: number): boolean {
    const bit = 1 << actor;
    const slot = depth * STRIDE + actor;
    if (((this.partial[depth] as number) & bit) === 0) this.sleepValues[slot] = 0;
    const slept = (this.sleepValues[slot] as number) | (1 << (this.value[depth] as number));
    this.sleepValues[slot] = slept;
    this.partial[depth] = (this.partial[depth] as number) | bit;
    return slept !== (1 << (this.valueCount[depth] as number)) - 1;
  }

  private reverseRaces(): void {
    const { order, bucket } = this;
    const depth = this.state.depth;
    if (order.races > this.nextRace.length) this.nextRace = new Int32Array(order.races * 2);
    const nextRace = this.nextRace;
    bucket.fill(-1, 0, depth);
    for (let race = 0; race < order.races; race++) {
      const first = order.raceFirst[race] as number;
      nextRace[race] = bucket[first] as number;
      bucket[first] = race;
    }
    for (let first = 0; first < depth; first++) {
      for (let race = bucket[first] as number; race >= 0; race = nextRace[race] as number) {
        const second = order.raceSecond[race] as number;
        if (this.state.atomicHypercalls) this.branch(first, second);
        else this.reverse(first, second, order.raceFoot[race] as number);
      }
    }
  }

  /** Plans the schedule in which `second` comes before `first`. */
  private reverse(first: number, second: number, foot: number): void {
    const { state, order, sequence } = this;
    const depth = state.depth;
    const actors = state.evActor;
    sequence.clear();
    let initials = this.sleep[first] as number;
    let partial = this.partial[first] as number;
    for (let event = first + 1; event < depth; event++) {
      if (order.ordered(first, event)) continue;
      const actor = actors[event] as number;
      const theirs = state.evFoot[event] as number;
      let needed = false;
      if (initials !== 0) {
        const left = this.stillInitial(first, initials, actor, theirs);
        if (left < 0) return;
        needed = left !== initials;
        initials = left;
      }
      let choice = -1;
      if (theirs === 0 && order.kindAt(event) === Op.CHOOSE) {
        const value = order.resultAt(event);
        choice = choiceOf(value, order.operandAt(event));
        if (((partial >>> actor) & 1) !== 0) {
          if ((((this.sleepValues[first * STRIDE + actor] as number) >>> value) & 1) !== 0) return;
        }
      }
      partial &= ~(1 << actor);
      sequence.push(actor, theirs, choice, event);
      if (needed) sequence.mark(sequence.length - 1);
    }
    const actor = order.actorOf(second);
    if (initials !== 0) {
      initials = this.stillInitial(first, initials, actor, foot);
      // Whoever is left commutes with all of it: explored from there already.
      if (initials !== 0) return;
    }
    sequence.push(actor, foot, -1, second);
    sequence.mark(sequence.length - 1);
    this.plan(first, sequence);
  }

  /** A schedule is to be explored from this depth, unless one like it is. */
  protected plan(depth: number, sequence: StepSequence): void {
    this.waiting[depth] = this.forest.insert(this.waiting[depth] as number, sequence);
  }

  /**
   * Plans a first step of the schedule in which `second` comes before `first`, unless one is planned or explored there.
   * What an atomic hypercall touches when it comes earlier is not known, so the rest of the schedule is left to
   * be found again: source sets, without wakeup trees.
   */
  private branch(first: number, second: number): void {
    const { state, order, sequence } = this;
    sequence.clear();
    const events: number[] = [];
    let initials = 0;
    for (let event = first + 1; event < state.depth; event++) {
      if (order.ordered(first, event)) continue;
      const begins = !events.some((earlier) => order.ordered(earlier, event));
      events.push(event);
      if (!begins) continue;
      const actor = state.evActor[event] as number;
      initials |= 1 << actor;
      if (sequence.length === 0) sequence.push(actor, state.evFoot[event] as number, -1, event);
    }
    if (sequence.length === 0) {
      const actor = order.actorOf(second);
      initials = 1 << actor;
      sequence.push(actor, 0, -1, second);
    }
    if ((initials & this.begun(first)) === 0) this.planStep(first, sequence, initials);
  }

  /** The actors whose next step from this depth is explored or planned. */
  private begun(depth: number): number {
    return (this.sleep[depth] as number) | this.forest.actors(this.waiting[depth] as number);
  }

  /**
   * One step is to be explored from this depth.
   * @param _initials - the actors of which any would do
   */
  protected planStep(depth: number, sequence: StepSequence, _initials: number): void {
    this.waiting[depth] = this.forest.prepend(this.waiting[depth] as number, sequence);
  }

  /** The sleepers that can still begin the schedule after this step of it; -1 if the step is a sleeper's own. */
  private stillInitial(depth: number, sleepers: number, actor: number, foot: number): number {
    if (((sleepers >>> actor) & 1) !== 0) return -1;
    let left = sleepers;
    for (let rest = sleepers; rest !== 0; rest &= rest - 1) {
      const sleeper = 31 - Math.clz32(rest & -rest);
      const theirs = this.sleepFeet[depth * STRIDE + sleeper] as number;
      if (this.state.dependent(sleeper, theirs, actor, foot)) left &= ~(1 << sleeper);
    }
    return left;
  }

  protected grow(): void {
    this.sleep = twice(this.sleep);
    this.sleepFeet = twice(this.sleepFeet);
    this.waiting = twice(this.waiting);
    this.valueCount = twice(this.valueCount);
    this.value = twice(this.value);
    this.tried = twice(this.tried);
    this.partial = twice(this.partial);
    this.sleepValues = twice(this.sleepValues);
    const all = new Uint8Array(this.allValues.length * 2);
    all.set(this.allValues);
    this.allValues = all;
    this.bucket = twice(this.bucket);
  }
}

function twice(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
