/** What an exploration comes to: data, and what `explore --json` prints. */

import type { MemoryModel } from '../engine/inline/event-stack';
import type { FailureKind } from '../engine/inline/inline-engine';
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
  readonly outcomes: readonly Outcome[];
  /** Labels of vcpu.cover that some execution reached. */
  readonly covered: readonly string[];
  readonly failure: ExploreFailure | null;
}
