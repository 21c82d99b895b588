/** What an exploration has covered: data only, for reports and the page. */

/** A place where schedules preempt: an actor, and the step it would have made. */
export interface PreemptionPlace {
  readonly actor: string;
  /** `or8 shared_info.evtchn_pending[0]`. */
  readonly step: string;
  readonly count: number;
}

/** Two accesses to the same bytes by different actors, one of them a write, and in how many executions which came first. */
export interface AccessPair {
  readonly word: string;
  readonly first: string;
  readonly second: string;
  readonly firstBefore: number;
  readonly secondBefore: number;
}

export interface ExploreCoverage {
  /** Different traces: executions that differ in no more than the order of independent steps are one. */
  readonly traces: number;
  /** There may be more: so many fingerprints are kept. */
  readonly tracesAtLeast: boolean;
  /** Traces over executions, in samples; executions that were cut off do not count. */
  readonly growth: readonly (readonly [executions: number, traces: number])[];
  /**
   * The most frequent first. A switch counts where the step that was put off needed nothing to be waited for: those before locks,
   * sleep and spinning do not.
   */
  readonly preemptions: readonly PreemptionPlace[];
  readonly pairs: readonly AccessPair[];
}
