/** What commands write on request: the page (`--html`), trace events (`--perfetto`), the trace (`--trace`), a dump (`--dump`). */
import { writeFileSync } from 'node:fs';
import type { RunResult } from '../engine/run-result';
import { findPassing } from '../explore/neighbour';
import { type ReplayOptions, type ReplayResult, replay } from '../explore/replay';
import type { StressResult } from '../explore/stress';
import type { Trace, TraceFailure } from '../explore/trace-format';
import { type ReplaySetting, replayCommand } from '../report/command';
import type { ExploreResult } from '../report/explore-result';
import type { PageExecution } from '../report/page-data';
import { pageExecution, recordedExecution } from '../report/page-execution';
import { pageExploration } from '../report/page-exploration';
import type { RunStatistics } from '../report/statistics-format';
import { formatTraceEvents } from '../report/trace-events';
import { formatTraceFile } from '../report/trace-file';
import { type DumpOption, dumpTo } from './dump-file';
import { checkOutput, writePage } from './page-file';

/** A scenario, and how its schedules are executed again. */
export interface PageSubject {
  /** As the user named it, for commands. */
  readonly given: string;
  readonly file: string;
  readonly setting: ReplaySetting;
}

/** Files to write, where wanted. */
export interface PictureFiles {
  readonly html?: string;
  readonly perfetto?: string;
  readonly trace?: string;
}

/** Before a long search rather than after it. */
export function checkPictures({ html, perfetto, trace }: PictureFiles): void {
  checkOutput(html, 'page');
  checkOutput(perfetto, 'trace events');
  checkOutput(trace, 'trace');
}

/** A run that was recorded, or executed step by step. */
export function writeRunPictures(
  { html, perfetto, trace: traceFile }: PictureFiles,
  { result, trace, token, statistics }: PicturedRun,
  setting: ReplaySetting,
): void {
  const executions = [
    trace.recorded === undefined
      ? pageExecution(`On ${result.engine}`, { trace, preemptions: 0 })
      : recordedExecution('Recorded run', trace),
  ];
  writeTraceEvents(perfetto, executions);
  if (traceFile !== undefined) writeFileSync(traceFile, formatTraceFile({ trace, token }, setting));
  if (html !== undefined) writePage(html, { title: result.scenario, executions, statistics });
}

/** A run with what pictures of it are made of. */
export interface PicturedRun {
  readonly result: RunResult;
  readonly trace: Trace;
  /** Replays it; null where nothing does. */
  readonly token: string | null;
  readonly statistics?: RunStatistics;
}

/**
 * The first failure of a stress: its schedule and the nearest one that passes, or where no schedule was found what the guests did.
 * @returns lines for the report
 */
export async function writeStressPictures(
  { html, perfetto }: PictureFiles,
  subject: PageSubject,
  { scenario, failures }: StressResult,
  log: Trace | undefined,
): Promise<readonly string[]> {
  const [failure] = failures;
  if (html === undefined && perfetto === undefined) return [];
  if (failure === undefined) return ['nothing failed: there is nothing to show, and no file was written'];
  const executions: PageExecution[] = [];
  if (failure.token !== null) {
    const result = await replay(subject.file, failure.token, replayOptions(subject));
    executions.push(pageExecution('Failing schedule', result, command(subject, failure.token), failureOf(result)));
  } else if (log !== undefined) executions.push(recordedExecution('What the guests did', log));
  else return ['no file was written: of machines with so many vCPUs the accesses are not put together'];
  writeTraceEvents(perfetto, executions);
  if (html === undefined) return [];
  if (failure.token !== null) executions.push(...(await nearestPassing(subject, failure.token)));
  writePage(html, { title: scenario, executions });
  return [];
}

/**
 * What the search covered, with the failure and the nearest schedule that passes; if nothing failed, with the most frequent
 * outcome.
 */
export async function writeExplorePictures(
  { html, perfetto }: PictureFiles,
  subject: PageSubject,
  result: ExploreResult,
): Promise<void> {
  if (html === undefined && perfetto === undefined) return;
  const { failure, outcomes, scenario } = result;
  const executions: PageExecution[] = [];
  if (failure !== null) {
    executions.push(pageExecution('Failing schedule', failure, command(subject, failure.token)));
  } else if (outcomes[0] !== undefined) {
    const { token } = outcomes[0];
    // It has ended before: telling it in full may take long, and is no reason to call it endless.
    const again = await replay(subject.file, token, { ...replayOptions(subject), watchdogMs: 0 });
    executions.push(pageExecution('Most frequent outcome', again, command(subject, token)));
  }
  writeTraceEvents(perfetto, executions);
  if (html === undefined) return;
  if (failure !== null) executions.push(...(await nearestPassing(subject, failure.token)));
  writePage(html, {
    title: scenario,
    executions,
    exploration: pageExploration(result, (token) => command(subject, token)),
  });
}

/**
 * The machine as the failure left it, where wanted: its schedule is executed once more.
 * @returns lines for the report
 */
export async function writeFailureDump(
  { dump }: DumpOption,
  subject: PageSubject,
  { failure }: Pick<ExploreResult, 'failure'>,
): Promise<readonly string[]> {
  if (dump === undefined || failure === null) return [];
  const { onDump, notes } = dumpTo(dump);
  await replay(subject.file, failure.token, { ...replayOptions(subject), onDump });
  return notes;
}

function writeTraceEvents(file: string | undefined, [execution]: readonly PageExecution[]): void {
  if (file !== undefined && execution !== undefined) writeFileSync(file, formatTraceEvents(execution.trace));
}

/** @param compared - what to show beside it; absent: for a failure, the nearest schedule that passes */
export async function writeReplayPictures(
  { html, perfetto }: PictureFiles,
  subject: PageSubject,
  token: string,
  result: ReplayResult,
  compared?: { readonly token: string; readonly result: ReplayResult },
): Promise<void> {
  const executions = [pageExecution('Replay', result, command(subject, token), failureOf(result))];
  writeTraceEvents(perfetto, executions);
  if (html === undefined) return;
  if (compared !== undefined) {
    const beside = command(subject, compared.token);
    executions.push(pageExecution('Compared with', compared.result, beside, failureOf(compared.result)));
  } else if (result.failure !== null) executions.push(...(await nearestPassing(subject, token)));
  writePage(html, { title: result.scenario, executions });
}

/** How a replay failed: its trace tells more, if it is of the same failure. */
export function failureOf({ failure, trace }: ReplayResult): TraceFailure | null {
  if (failure === null) return null;
  const { kind, message, actor } = failure;
  if (trace.failure?.kind === kind && trace.failure.message === message) return trace.failure;
  return { kind, message, ...(actor === undefined ? {} : { actor: trace.actors.indexOf(actor) }) };
}

async function nearestPassing(subject: PageSubject, token: string): Promise<PageExecution[]> {
  const passing = await findPassing(subject.file, token, replayOptions(subject));
  if (passing === undefined) return [];
  return [pageExecution('Nearest passing schedule', passing, command(subject, passing.token))];
}

function command({ given, setting }: PageSubject, token: string): string {
  return replayCommand(given, setting, token);
}

function replayOptions({ setting: { vcpus, abi, events, args, maxSteps } }: PageSubject): ReplayOptions {
  return { vcpus, abi, events, args, maxSteps };
}
