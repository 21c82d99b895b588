/** The engine of code that no program runs, on the main thread: set-up before and check after executions. */
import type { FailureKind } from '../inline/failure';
import { CLOCK_ADDRESS, DEADLINE_ADDRESS, KIND_BITS, Op } from '../inline/ops';
import type { StepEngine } from '../inline/step-engine';
import type { LockstepState } from './lockstep-state';

export class DirectEngine implements StepEngine {
  readonly actor = 0;
  readonly position = 0;
  readonly replaying = false;

  constructor(readonly state: LockstepState) {}

  step(tag: number, operand: number, expected: number): number {
    return this.state.executor.direct(tag, operand, expected);
  }

  now(): number {
    return this.step(Op.NOW | (CLOCK_ADDRESS << KIND_BITS), 0, 0);
  }

  timerSet(deadlineNs: number): void {
    this.step(Op.TIMER_SET | (DEADLINE_ADDRESS << KIND_BITS), Number.isFinite(deadlineNs) ? deadlineNs : 0, 0);
  }

  whenSure(act: () => void): void {
    act();
  }

  peek32(address: number): number {
    return this.state.memory.peek32(address);
  }

  relax(): void {}

  choose(): number {
    return noProgram();
  }

  timerWait(): number {
    return noProgram();
  }

  sleep(): void {
    noProgram();
  }

  park(): never {
    return noProgram();
  }

  abort(_kind: FailureKind, error: Error): never {
    throw error;
  }
}

function noProgram(): never {
  throw new Error('only a program under execution can do this');
}
