/**
 * What the programs of a machine under a deterministic engine ask of the engine. The inline engine answers by
 * re-execution in one thread, the lockstep engine on the thread of the program that asks.
 */
import type { FailureKind } from './failure';

export interface StepEngine {
  /**
   * One operation of the running program: its result.
   * @param tag - kind and address, see ops.ts
   */
  step(tag: number, operand: number, expected: number): number;
  /** A nondeterministic choice below `count`. Large ones are made digit by digit. */
  choose(count: number): number;
  /** Waits until a word read since the last relax has changed. */
  relax(): void;
  /** System time (ns). */
  now(): number;
  /** Arms the timer for system time `deadlineNs`; Infinity stops it. */
  timerSet(deadlineNs: number): void;
  /** Waits until the timer is armed and then until it expires: the time. */
  timerWait(): number;
  /** Lets time pass. */
  sleep(ns: number): void;
  /** Waits for ever: a daemon that has had its share. */
  park(): never;
  /** Ends the execution as a failure, from inside a program, and unwinds the program. */
  abort(kind: FailureKind, error: Error): never;
  /** Does something of which there is no taking back: at once, or when it is sure that the program really came here. */
  whenSure(act: () => void): void;
  /** A word of the engine's address space as it is, without a step: for messages. */
  peek32(address: number): number;
  /** The actor whose program is running. */
  readonly actor: number;
  /** True while the running program is only brought back to where it was. */
  readonly replaying: boolean;
  /** Number of operations the running program has made. */
  readonly position: number;
}

/** What an actor executes. */
export interface Program {
  readonly name: string;
  /** Called from the start whenever the engine needs to; deterministic but for what the engine answers. */
  run(): unknown;
  /**
   * Absent: the execution waits until it has ended. Daemons may be left waiting: vCPUs of daemon domains ('guest'), when they can
   * go on no further; timers and devices ('hardware') at any point.
   */
  readonly daemon?: 'guest' | 'hardware';
}

/** Alternatives of one CHOOSE step: the strategies keep sets of values in a word. */
const MAX_CHOICE = 16;

/** A choice below `count`, made of steps with few alternatives each. */
export function chooseDigits(choose: (count: number) => number, count: number): number {
  if (count <= MAX_CHOICE) return choose(count);
  const low = Math.ceil(count / MAX_CHOICE);
  const high = choose(Math.ceil(count / low)) * low;
  return high + chooseDigits(choose, Math.min(low, count - high));
}
