/**
 * One program's side of the lockstep engine, on the program's own thread: lets it run to its next step, and hands the
 * baton over until the schedule names it. The program keeps its stack; nothing is ever executed twice.
 */
import { type EngineFailure, type FailureKind, failureOfError, promiseReturned } from '../inline/failure';
import { CLOCK_ADDRESS, DEADLINE_ADDRESS, KIND_BITS, KIND_MASK, Op } from '../inline/ops';
import { chooseDigits, type StepEngine } from '../inline/step-engine';
import { monotonicNs } from '../threads/clock';
import type { Baton } from './baton';
import type { LockstepState } from './lockstep-state';
import type { ScheduleFollower } from './schedule-follower';
import type { SharedWords } from './shared-words';

const NOW_TAG = Op.NOW | (CLOCK_ADDRESS << KIND_BITS);
const SLEEP_TAG = Op.SLEEP | (CLOCK_ADDRESS << KIND_BITS);
const TIMER_SET_TAG = Op.TIMER_SET | (DEADLINE_ADDRESS << KIND_BITS);
const TIMER_WAIT_TAG = Op.TIMER_WAIT | (DEADLINE_ADDRESS << KIND_BITS);

/** Unwinds a program when the execution is over. */
class Unwind {
  readonly message = 'the execution is over: rethrow what you do not know';
}
const UNWIND = new Unwind();

/** How a program left an execution. */
export interface ProgramEnd {
  /** What it returned, if it did. */
  readonly value?: unknown;
  /** How it failed, if it did. */
  readonly failure?: EngineFailure;
}

export class LockstepEngine implements StepEngine {
  readonly replaying = false;
  /** Steps this program has made in this execution. */
  position = 0;
  private readonly words: SharedWords;
  private arrived = false;
  private holding = false;
  private over = true;
  private failure: EngineFailure | undefined;

  /** @param counts - the program has to end before the execution has: it is no daemon */
  constructor(
    readonly actor: number,
    private readonly counts: boolean,
    private readonly state: LockstepState,
    private readonly baton: Baton,
    private readonly follower: ScheduleFollower,
  ) {
    this.words = state.words;
  }

  /** Runs the program through one execution. */
  run(program: () => unknown): ProgramEnd {
    this.position = 0;
    this.arrived = this.holding = this.over = false;
    this.failure = undefined;
    this.state.memory.forgetLocks();
    try {
      const value = program();
      if (!this.over) return this.returned(value);
    } catch (thrown) {
      // What a program throws while it is being unwound is of no interest.
      if (!this.over) this.failed(failureOfError(thrown, 'crash', this.actor));
    }
    return this.failure === undefined ? {} : { failure: this.failure };
  }

  step(tag: number, operand: number, expected: number): number {
    if (this.over) throw UNWIND;
    this.words.setPending(this.actor, tag & KIND_MASK, tag, operand, expected);
    this.takeTurn();
    const result = this.state.executor.execute(this.actor);
    this.position++;
    if (!this.follower.isAsExpected()) this.leave();
    return result;
  }

  choose(count: number): number {
    return chooseDigits((alternatives) => this.step(Op.CHOOSE, alternatives, 0), count);
  }

  relax(): void {
    this.step(Op.RELAX, 0, 0);
  }

  now(): number {
    return this.step(NOW_TAG, 0, 0);
  }

  timerSet(deadlineNs: number): void {
    this.step(TIMER_SET_TAG, Number.isFinite(deadlineNs) ? deadlineNs : 0, 0);
  }

  timerWait(): number {
    return this.step(TIMER_WAIT_TAG, 0, 0);
  }

  sleep(ns: number): void {
    this.step(SLEEP_TAG, ns, 0);
  }

  park(): never {
    this.step(Op.PARK, 0, 0);
    throw new Error('lockstep engine: a parked program went on');
  }

  abort(kind: FailureKind, error: Error): never {
    if (!this.over) {
      this.failed({ kind, message: error.message, actor: this.actor, error });
      this.over = true;
    }
    throw UNWIND;
  }

  whenSure(act: () => void): void {
    act();
  }

  peek32(address: number): number {
    return this.state.memory.peek32(address);
  }

  private returned(value: unknown): ProgramEnd {
    if (value instanceof Promise) {
      value.catch(() => undefined);
      this.failed(failureOfError(promiseReturned(), 'crash', this.actor));
      return { failure: this.failure };
    }
    if (this.counts) this.words.countDone();
    this.ended(Op.END);
    return { value };
  }

  private failed(failure: EngineFailure): void {
    this.failure = failure;
    this.words.countCrash();
    this.ended(Op.CRASH);
  }

  /** The program makes no step any more: somebody else goes on. */
  private ended(kind: number): void {
    this.words.setPending(this.actor, kind, kind, 0, 0);
    if (this.isHolder()) this.passOn(this.follower.next());
  }

  /** Returns when the program's pending operation is the next event. */
  private takeTurn(): void {
    if (this.isHolder()) {
      if (this.baton.isOver(this.actor)) this.leave();
      const next = this.follower.next();
      if (next === this.actor) return;
      this.passOn(next);
    }
    this.holding = this.baton.await(this.actor);
    if (!this.holding) this.leave();
  }

  private isHolder(): boolean {
    if (this.arrived) return this.holding;
    this.arrived = true;
    this.holding = this.baton.arrive(this.actor);
    if (this.holding) this.words.markStart(monotonicNs());
    return this.holding;
  }

  private passOn(next: number): void {
    this.holding = false;
    if (next >= 0) this.baton.hand(next);
    else this.finish();
  }

  private finish(): void {
    this.words.markEnd(monotonicNs());
    this.baton.end();
  }

  /** Leaves an execution that is over, or that this program found out to be. */
  private leave(): never {
    if (this.holding) this.finish();
    this.over = true;
    throw UNWIND;
  }
}
