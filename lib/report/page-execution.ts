/** An execution as a page shows it: its trace, the summary of what happened, and the command that replays it. */
import type { Trace, TraceFailure } from '../explore/trace-format';
import type { PageExecution } from './page-data';
import { summarise } from './summary';

/**
 * @param command - as replayCommand makes it
 * @param failure - if not that of the trace
 */
export function pageExecution(
  label: string,
  { trace, preemptions }: { readonly trace: Trace; readonly preemptions: number },
  command: string,
  failure: TraceFailure | null = trace.failure,
): PageExecution {
  const size = `${preemptions} preemption${preemptions === 1 ? '' : 's'}, ${trace.steps.length} steps`;
  const summary = failure === null ? (['nothing failed', size] as const) : summarise(trace, failure, preemptions);
  return { label, trace, summary, command };
}
