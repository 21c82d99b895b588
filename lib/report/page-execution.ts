/** An execution as a page shows it: its trace, the summary of what happened, and the command that replays it. */
import type { Trace, TraceFailure } from '../explore/trace-format';
import type { PageExecution } from './page-data';
import { summarise } from './summary';

/**
 * @param command - as replayCommand makes it, if there is one
 * @param failure - if not that of the trace
 */
export function pageExecution(
  label: string,
  { trace, preemptions }: { readonly trace: Trace; readonly preemptions: number },
  command?: string,
  failure: TraceFailure | null = trace.failure,
): PageExecution {
  const size = `${preemptions} preemption${preemptions === 1 ? '' : 's'}, ${trace.steps.length} steps`;
  const summary = failure === null ? (['nothing failed', size] as const) : summarise(trace, failure, preemptions);
  return { label, trace, summary, ...(command === undefined ? {} : { command }) };
}

/** What threads recorded: there is no schedule, and so no command that replays it. */
export function recordedExecution(label: string, trace: Trace): PageExecution {
  const { failure, steps, recorded } = trace;
  const missing = (recorded?.missing ?? []).reduce((sum, count) => sum + count, 0);
  const kept = missing === 0 ? '' : `, the newest: ${missing} events before them were not kept`;
  const order =
    recorded?.timed === false ? ', in the order of a logical clock: that of racing accesses may differ' : '';
  const [what] = failure === null ? ['nothing failed'] : summarise(trace, failure, 0);
  return { label, trace, summary: [what, `${steps.length} steps recorded on threads${kept}${order}`] };
}
