/** What programs ask of the inline engine besides accesses, as steps. */
import type { MachineState } from './machine-state';
import { KIND_BITS, Op } from './ops';
import { chooseDigits } from './step-engine';

export abstract class InlineSteps {
  abstract readonly state: MachineState;

  /** One operation of the running program: its result. */
  abstract step(tag: number, operand: number, expected: number): number;

  /** A nondeterministic choice below `count`. Large ones are made digit by digit. */
  choose(count: number): number {
    return chooseDigits((alternatives) => this.step(Op.CHOOSE, alternatives, 0), count);
  }

  relax(): void {
    this.step(Op.RELAX, 0, 0);
  }

  /** System time (ns). */
  now(): number {
    return this.state.numbers.value(this.step(Op.NOW | (4 << KIND_BITS), 0, 0));
  }

  /** Arms the timer for system time `deadlineNs`; Infinity stops it. */
  timerSet(deadlineNs: number): void {
    const id = Number.isFinite(deadlineNs) ? this.state.numbers.intern(deadlineNs) : 0;
    this.step(Op.TIMER_SET | (8 << KIND_BITS), id, 0);
  }

  /** Waits until the timer is armed and then until it expires: the time. */
  timerWait(): number {
    return this.state.numbers.value(this.step(Op.TIMER_WAIT | (8 << KIND_BITS), 0, 0));
  }

  /** Lets time pass. */
  sleep(ns: number): void {
    this.step(Op.SLEEP | (4 << KIND_BITS), this.state.numbers.intern(ns), 0);
  }

  /** Waits for ever: a daemon that has had its share. Whether any did is told by {@link parked}. */
  park(): never {
    this.step(Op.PARK, 0, 0);
    throw new Error('inline engine: a parked program went on');
  }
}
