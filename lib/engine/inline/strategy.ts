/**
 * What an exploration strategy is asked. The engine executes; a strategy only says who is next, and how far to go back
 * before the next execution. Sets of actors are bit masks.
 */
import type { MachineState } from './machine-state';

export interface Strategy {
  readonly name: string;
  /** True when `choose` needs to know every actor's pending operation (else some may be found out only when chosen). */
  readonly eager: boolean;
  /**
   * True when an execution may be taken back some steps on the way, the strategy being asked anew: it keeps nothing about the
   * steps of an execution, and each choice is as good a second time.
   */
  readonly forgets?: boolean;
  /**
   * True when an execution has to go on with timers and devices after the last guest has ended: reduction learns from every
   * step that can still race. Else it ends there.
   */
  readonly runsDaemonsOut?: boolean;
  /** Executions given up because all that is left is explored elsewhere. */
  readonly blocked: number;
  /** Binds the strategy to a machine, before anything else. */
  attach(state: MachineState): void;
  /** An execution begins, from the depth last returned by {@link next} (at first 0). */
  begin(): void;
  /**
   * Who executes the next event. Asked again for the same event when the answer turns out not to be able to.
   * @param enabled - not empty
   * @returns an actor of `enabled`, or -1 to give this execution up
   */
  choose(enabled: number): number;
  /** The value, below `count`, of a nondeterministic choice that is about to be executed. */
  chooseValue(actor: number, count: number): number;
  /** The event `state.depth - 1` has just been executed. */
  executed(): void;
  /** The execution is over: nobody can go on, or it was given up. */
  end(): void;
  /** Prepares the next execution: how many events of this one it shares; -1 when there is none left. */
  next(): number;
}
