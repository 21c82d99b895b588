/** What the page is made of: the data that is put into it, as the page reads it. No imports but data formats. */
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
}
