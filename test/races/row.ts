/** One row of the gallery's table: a race of examples/races and what exploration has to say about it. */

import type { MemoryModel } from '../../lib/engine/inline/event-stack';
import type { FailureKind } from '../../lib/engine/inline/inline-engine';
import type { EventAbi } from '../../lib/guest/vcpu';

/** Executions within which a strategy finds the fault, under the first of the row's memory models. */
export interface Budget {
  readonly random: number;
  readonly pct: number;
  readonly pos: number;
  /** Bounded to the row's number of preemptions. */
  readonly dfs: number;
  /** Under every memory model of the row. */
  readonly dpor: number;
}

export interface RaceRow {
  /** File in examples/races, without extension. */
  readonly file: string;
  /** `args.variant` of the faulty form; default 'buggy'. */
  readonly variant?: string;
  /** How the faulty form fails. */
  readonly kind: FailureKind;
  /** The memory models under which it fails; under the others exploration proves that it holds. */
  readonly models: readonly MemoryModel[];
  /** The event-channel ABIs it runs on. Default 2-level: the file writes out a hypervisor, or what the other ABI has not. */
  readonly events?: readonly EventAbi[];
  /** Preemptions it needs under the first of them: as many as the file's header says. */
  readonly preemptions: number;
  readonly budget: Budget;
  /** Depth for pct, where the fault needs more ordering constraints than the default of 3. */
  readonly pctDepth?: number;
  /** Default 1. */
  readonly seed?: number;
  /** Where the interior of the hypervisor is not explored; the row says why. Default 'fine'. */
  readonly hypercalls?: 'atomic';
}

/** A variant that exploration proves to hold, under one event-channel ABI. */
export interface Holding {
  readonly file: string;
  readonly variant: string;
  readonly events: EventAbi;
}
