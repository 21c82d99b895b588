/** The pages that `explore --html` and `replay --html` write. */
import { findPassing } from '../explore/neighbour';
import { type ReplayOptions, type ReplayResult, replay } from '../explore/replay';
import type { TraceFailure } from '../explore/trace-format';
import { type ReplaySetting, replayCommand } from '../report/command';
import type { ExploreResult } from '../report/explore-result';
import type { PageExecution } from '../report/page-data';
import { pageExecution } from '../report/page-execution';
import { writePage } from './page-file';

/** A scenario, and how its schedules are executed again. */
export interface PageSubject {
  /** As the user named it, for commands. */
  readonly given: string;
  readonly file: string;
  readonly setting: ReplaySetting;
}

/** The failure and the nearest schedule that passes; if nothing failed, the most frequent outcome. */
export async function writeExplorePage(page: string, subject: PageSubject, result: ExploreResult): Promise<void> {
  const { failure, outcomes, scenario } = result;
  const executions: PageExecution[] = [];
  if (failure !== null) {
    executions.push(pageExecution('Failing schedule', failure, command(subject, failure.token)));
    executions.push(...(await nearestPassing(subject, failure.token)));
  } else if (outcomes[0] !== undefined) {
    const { token } = outcomes[0];
    const again = await replay(subject.file, token, replayOptions(subject));
    executions.push(pageExecution('Most frequent outcome', again, command(subject, token)));
  }
  writePage(page, { title: scenario, executions });
}

/** @param compared - what to show beside it; absent: for a failure, the nearest schedule that passes */
export async function writeReplayPage(
  page: string,
  subject: PageSubject,
  token: string,
  result: ReplayResult,
  compared?: { readonly token: string; readonly result: ReplayResult },
): Promise<void> {
  const executions = [pageExecution('Replay', result, command(subject, token), failureOf(result))];
  if (compared !== undefined) {
    const beside = command(subject, compared.token);
    executions.push(pageExecution('Compared with', compared.result, beside, failureOf(compared.result)));
  } else if (result.failure !== null) executions.push(...(await nearestPassing(subject, token)));
  writePage(page, { title: result.scenario, executions });
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

function replayOptions({ setting: { vcpus, abi, args, maxSteps } }: PageSubject): ReplayOptions {
  return { vcpus, abi, args, maxSteps };
}
