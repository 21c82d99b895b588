/** What the page is made of: the data that is put into it, as the page reads it. No imports but data formats. */
import type { ExploreCoverage } from '../explore/coverage-format';
import type { Trace } from '../explore/trace-format';
import type { RunStatistics } from './statistics-format';

/** One execution with its trace. */
export interface PageExecution {
  /** `Failing schedule`: the heading of its screen. */
  readonly label: string;
  readonly trace: Trace;
  /** What happened, and where: a line each. */
  readonly summary: readonly [what: string, where: string];
  /** The command that replays it; absent where there is none. */
  readonly command?: string;
}

export interface PageData {
  /** The scenario's name. */
  readonly title: string;
  /** Version of the package that wrote the page. */
  readonly version: string;
  /** At most two: they can be compared. */
  readonly executions: readonly PageExecution[];
  /** Of a recorded run. */
  readonly statistics?: RunStatistics;
  /** Of a search. */
  readonly exploration?: PageExploration;
}

/** A search, and what it has covered. */
export interface PageExploration {
  readonly coverage: ExploreCoverage;
  readonly search: {
    readonly strategy: string;
    readonly memoryModel: string;
    readonly seed: number;
    readonly executions: number;
    readonly blocked: number;
    readonly steps: number;
    readonly elapsedMs: number;
  };
  readonly verdict: string;
  /** Why it is not complete, if it is not. */
  readonly incomplete: string | null;
  /** The most frequent first, with the command that replays each. */
  readonly outcomes: readonly { readonly results: string; readonly count: number; readonly command: string }[];
  /** Executions with other outcomes. */
  readonly unlisted: number;
  /** Labels that were reached, and those that never were. */
  readonly covered: readonly string[];
  readonly uncovered: readonly string[];
}
