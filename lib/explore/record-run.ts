/** A free run, recorded: its result, and what its threads did as a trace. */
import type { RunFailure, RunResult } from '../engine/run-result';
import type { Scenario } from '../engine/scenario';
import type { Dump } from '../engine/snapshot/dump-file';
import { type Recording, type RunOptions, runRecorded } from '../engine/threads';
import { traceRecording } from './recorded-trace';
import { lastAccessesOf } from './replay-dump';
import type { Trace, TraceFailure } from './trace-format';

export interface RecordedRun {
  readonly result: RunResult;
  readonly trace: Trace;
  readonly recording: Recording;
}

/**
 * @param scenario - path of a scenario file, or what defineScenario returned to a module that worker threads can import
 * @param events - of each thread, the newest that are kept; default 10,000
 * @throws ScenarioError if the scenario or an option cannot be used; nothing has been started then
 */
export async function recordRun(
  scenario: string | Scenario,
  options: RunOptions = {},
  events?: number,
): Promise<RecordedRun> {
  const { onDump } = options;
  let dump: Dump | undefined;
  const keep = (taken: Dump): void => {
    dump = taken;
  };
  const recorded = { ...options, ...(onDump === undefined ? {} : { onDump: keep }) };
  const { result, recording } = await runRecorded(scenario, recorded, events);
  const trace = traceRecording(recording, traceFailure(result.failure, recording));
  if (dump !== undefined) onDump?.({ ...dump, lastAccesses: lastAccessesOf(recording.plan, trace) });
  return { result, recording, trace };
}

/** A run's failure as one of an execution: told by the kinds of those. */
function traceFailure(failure: RunFailure | null, { plan }: Recording): TraceFailure | null {
  if (failure === null) return null;
  const { message, domain, vcpu } = failure;
  let first = 0;
  for (const { name, config } of plan.domains) {
    if (name === domain) break;
    first += config.vcpus;
  }
  return { kind: KINDS[failure.kind] ?? 'crash', message, ...(vcpu === undefined ? {} : { actor: first + vcpu }) };
}

const KINDS: Readonly<Partial<Record<RunFailure['kind'], TraceFailure['kind']>>> = {
  deadlock: 'deadlock',
  hang: 'livelock',
  assertion: 'assertion',
  check: 'assertion',
  invariant: 'invariant',
};
