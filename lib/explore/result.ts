/** What an exploration comes to: data, and what `explore --json` prints. */

import type { MemoryModel } from '../engine/inline/event-stack';
import type { FailureKind } from '../engine/inline/inline-engine';
import type { ExploreCoverage } from './coverage-format';
import type { StrategyName } from './options';
import type { Trace } from './trace';

export interface ExploreFailure {
  readonly kind: FailureKind;
  /** One line. */
  readonly message: string;
  /** Actor the failure happened in, if it is one. */
  readonly actor?: string;
  /** Number of the execution that failed first, from 1. */
  readonly execution: number;
  /** Switches away from an actor that could have gone on, in the schedule reported. */
  readonly preemptions: number;
  /** Actor of each step. */
  readonly schedule: readonly number[];
  /** Replays it. */
  readonly token: string;
  readonly trace: Trace;
}

/** A way in which an execution can end, and how many of those explored ended so. */
export interface Outcome {
  /** What each vCPU's guest returned. */
  readonly results: readonly unknown[];
  readonly count: number;
  /** Replays the first of them. */
  readonly token: string;
}

/** Why a search that was aborted is not complete. */
export const INTERRUPTED = 'the search was interrupted';

/** How much of an exhaustive search that was not finished is left. */
export interface Estimate {
  /**
   * The part that is behind, 0 to 1: at each node of the tree of schedules all branches known count the same. Reduction finds branches as it
   * goes, so there it is an upper bound, and what follows from it a lower one.
   */
  readonly explored: number;
  /** Executions left, if what is left is as what is behind. */
  readonly executionsLeft: number;
  readonly bound: 'about' | 'at least';
}

export interface ExploreReport {
  readonly scenario: string;
  readonly strategy: StrategyName;
  readonly memoryModel: MemoryModel;
  readonly seed: number;
  /** Executions that ran to the end. */
  readonly executions: number;
  /** The space is exhausted: what held in every execution holds. */
  readonly complete: boolean;
  /** Why it is not, in one line; null if it is. */
  readonly incomplete: string | null;
  /** Executions cut off as redundant. */
  readonly blocked: number;
  readonly steps: number;
  readonly elapsedMs: number;
  readonly executionsPerSecond: number;
  readonly workers: number;
  /** Null when nothing is left, for strategies that sample, and where it cannot be told. */
  readonly estimate: Estimate | null;
  /** The most frequent first; at most 1,000. */
  readonly outcomes: readonly Outcome[];
  /** Executions that ended in outcomes beyond those. */
  readonly unlisted: number;
  /** Labels of vcpu.cover that some execution reached. */
  readonly covered: readonly string[];
  /**
   * Labels that the scenario declares (`covers`) and no execution reached. Labels are not looked for in the guest's text: which of those
   * found there a guest could reach with these args nobody knows.
   */
  readonly uncovered: readonly string[];
  readonly failure: ExploreFailure | null;
  /** Present if it was asked for. */
  readonly coverage?: ExploreCoverage;
}

/** @param explored - the part that is behind, if it can be told */
export function estimateOf(strategy: StrategyName, executions: number, explored: number | undefined): Estimate | null {
  if (explored === undefined || explored <= 0) return null;
  const executionsLeft = Math.round((executions * (1 - explored)) / explored);
  return { explored, executionsLeft, bound: strategy === 'dpor' ? 'at least' : 'about' };
}
