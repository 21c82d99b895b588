/**
 * `upcall explore <scenario>`: searches a scenario's interleavings and prints what it found: how far the search has come,
 * and the failure as a chart with, last, the command that replays it.
 *
 * Exit status: 0 if nothing failed, 1 if something did, 2 for wrong usage, 130 if it was interrupted.
 */
import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { UpcallError } from '../engine/errors';
import {
  type ExploreOptions,
  type ExploreProgress,
  HYPERCALL_STEPS,
  MEMORY_MODELS,
  STRATEGIES,
  type StrategyName,
} from '../explore/options';
import { type Estimate, type ExploreFailure, estimateOf, INTERRUPTED, type Outcome } from '../explore/result';
import { quote, replayCommand } from '../report/command';
import { describeFailure, type ExploreResult, explore, replaySetting } from '../report/explore-result';
import { formatTraceFile } from '../report/trace-file';
import { addDumpOption, checkDump, type DumpOption } from './dump-file';
import { addScenarioOptions, addSeedOption, integerFrom, type ScenarioOptions } from './options';
import { checkPictures, type PictureFiles, writeExplorePictures, writeFailureDump } from './pictures';
import { ProgressLine } from './progress-line';
import { interruptible, locateScenario } from './run';
import { alignColumns } from './table';
import { chartOptions, painter } from './terminal';
import { UsageError } from './usage-error';

const FAILED = 1;
const INTERRUPTED_STATUS = 130;
/** Of an outcome in the list; longer ones are cut. */
const LONGEST_OUTCOME = 60;
/** Of a token that a command shows without more ado. */
const LONGEST_TOKEN = 400;

interface ExploreCommandOptions extends ScenarioOptions, PictureFiles, DumpOption {
  readonly strategy: StrategyName;
  readonly memoryModel?: 'sc' | 'tso';
  readonly hypercalls?: (typeof HYPERCALL_STEPS)[number];
  readonly dataRaces?: boolean;
  readonly maxExecutions?: number;
  readonly maxSteps?: number;
  readonly preemptionBound?: number;
  readonly depth?: number;
  readonly workers?: number;
  readonly watchdog?: number;
  readonly seed?: number;
  readonly list?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** Adds the command. */
export function registerExplore(program: Command): void {
  const command = program
    .command('explore')
    .description('search the interleavings of a scenario for one that fails')
    .argument('<scenario>', 'a .ts or .js file, or the name of a shipped example');
  addDumpOption(addSeedOption(addScenarioOptions(command)))
    .addOption(new Option('--strategy <name>', 'which interleaving comes next').choices(STRATEGIES).default('dpor'))
    .addOption(new Option('--memory-model <name>', 'order of plain accesses; default sc').choices(MEMORY_MODELS))
    .addOption(
      new Option('--hypercalls <how>', 'each access in the hypervisor a step, or each hypercall; default fine').choices(
        HYPERCALL_STEPS,
      ),
    )
    .option('--data-races', 'two plain accesses that nothing orders, one a write, are a failure')
    .option('--max-executions <n>', 'end the search after so many executions', integerFrom(1))
    .option('--max-steps <n>', 'steps after which an execution counts as a livelock', integerFrom(1))
    .option('--preemption-bound <n>', 'only schedules with at most so many preemptions (dfs)', integerFrom(0))
    .option('--workers <n>', 'worker threads that explore; default: none, the main thread does', integerFrom(1))
    .option('--depth <n>', 'ordering constraints of the bugs looked for (pct)', integerFrom(1))
    .option('--watchdog <ms>', 'longest time one execution may take, 0 for no limit', integerFrom(0))
    .option('--list', 'list the different outcomes, each with a token that replays it')
    .option('--trace <file>', 'write the trace of the failure as JSON')
    .option(
      '--html <file>',
      'write a page: what was covered, and the failure step by step beside the nearest schedule that passes',
    )
    .option('--perfetto <file>', 'write the failure as trace events, for ui.perfetto.dev or chrome://tracing')
    .option('--verbose', 'show every step of the failure')
    .option('--json', 'print the result as one JSON object')
    .action((scenario: string, options: ExploreCommandOptions) => exploreCommand(scenario, options));
}

async function exploreCommand(given: string, options: ExploreCommandOptions): Promise<void> {
  const interrupt = interruptible();
  const progress = new ProgressLine(process.stderr);
  const file = locateScenario(given);
  if (options.depth !== undefined && options.strategy !== 'pct') {
    throw new UsageError(`--depth goes with strategy pct, not with ${options.strategy}`);
  }
  checkPictures(options);
  checkDump(options);
  try {
    const result = await usage(() =>
      explore(file, {
        ...exploreOptions(options),
        signal: interrupt.signal,
        onProgress: (snapshot) => progress.show(progressText(snapshot, options.strategy)),
      }),
    );
    progress.clear();
    if (options.trace !== undefined && result.failure !== null) {
      writeFileSync(options.trace, formatTraceFile(result.failure, replaySetting(exploreOptions(options))));
    }
    const setting = replaySetting(exploreOptions(options));
    await usage(() => writeExplorePictures(options, { given, file, setting }, result));
    const notes = await usage(() => writeFailureDump(options, { given, file, setting }, result));
    process.stdout.write(options.json ? `${toJson(jsonOf(result))}\n` : report(given, result, options, notes));
    if (result.failure !== null) process.exitCode = FAILED;
    else if (result.incomplete === INTERRUPTED) process.exitCode = INTERRUPTED_STATUS;
  } finally {
    progress.clear();
    interrupt.dispose();
  }
}

/** What the package throws on purpose is wrong usage: one line. */
export async function usage<T>(call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof UpcallError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

function exploreOptions(options: ExploreCommandOptions): ExploreOptions {
  const { vcpus, abi, events, args, strategy, memoryModel, hypercalls, dataRaces, seed } = options;
  const { maxExecutions, maxSteps, preemptionBound, depth, workers, watchdog } = options;
  const limits = { maxExecutions, maxSteps, preemptionBound, depth, workers, watchdogMs: watchdog };
  // A page shows what was covered.
  const coverage = options.html !== undefined;
  return { vcpus, abi, events, args, strategy, memoryModel, hypercalls, dataRaces, seed, coverage, ...limits };
}

function progressText(progress: ExploreProgress, strategy: StrategyName): string {
  const { executions, blocked, executionsPerSecond, elapsedMs, outcomes, explored } = progress;
  // Reduction executes each trace once: there they are the same.
  const unit = strategy === 'dpor' ? 'distinct traces' : 'executions';
  const cut = blocked > 0 ? `, ${count(blocked)} cut off` : '';
  const estimate = estimateOf(strategy, executions, explored);
  const part = estimate === null ? '' : `, ${estimateText(estimate)}`;
  const speed = `${count(executionsPerSecond)}/s, ${Math.round(elapsedMs / 1000)} s`;
  return `${count(executions)} ${unit}${cut}, ${plural(outcomes, 'outcome')}, ${speed}${part}`;
}

/** Reduction finds more to do as it goes, so there the share is the most it can be. */
function estimateText({ explored, executionsLeft, bound }: Estimate): string {
  const share = `${bound === 'about' ? 'about' : 'at most'} ${percent(explored)}`;
  return `${share} of the tree, ${bound} ${count(executionsLeft)} left`;
}

/** The report for people. */
function report(
  given: string,
  result: ExploreResult,
  options: ExploreCommandOptions,
  notes: readonly string[],
): string {
  const paint = painter(process.stdout);
  const { failure } = result;
  const lines: string[] = [];
  if (options.list) lines.push(...listOutcomes(result), '');
  const verdict = failure !== null ? 'failed' : result.complete ? 'holds in every interleaving' : 'held so far';
  const how = `${result.strategy}, ${result.memoryModel}, seed ${result.seed}`;
  const speed = `${result.elapsedMs} ms, ${count(result.executionsPerSecond)}/s`;
  lines.push(
    `${paint('bold', result.scenario)} ${paint(failure === null ? 'green' : 'red', verdict)} (${how})`,
    `${plural(result.executions, 'execution')}, ${count(result.blocked)} cut off, ${count(result.steps)} steps, ${speed}`,
  );
  if (failure === null && result.incomplete !== null) {
    const left = result.estimate === null ? '' : ` (explored: ${estimateText(result.estimate)})`;
    lines.push(`not exhausted: ${result.incomplete}${left}`);
  }
  lines.push(...coverLines(result, options.list));
  if (failure !== null) {
    const command = commandFor(given, options, failure);
    lines.push('', describeFailure(failure, command, chartOptions(process.stdout, options.verbose)), ...notes);
  }
  return `${lines.join('\n')}\n`;
}

/** The command that replays a failure: of a long token the trace file stands in its place, if there is one. */
function commandFor(given: string, options: ExploreCommandOptions, { token }: ExploreFailure): string {
  const command = (source: string) => replayCommand(given, replaySetting(exploreOptions(options)), source);
  if (token.length <= LONGEST_TOKEN) return command(token);
  if (options.trace !== undefined) return command(quote(options.trace));
  const hint = `The token is ${count(token.length)} characters long; with --trace FILE the command is short.`;
  return `${hint}\n${command(token)}`;
}

/** The different outcomes as a table, and the labels reached. */
function listOutcomes(result: ExploreResult): string[] {
  const { outcomes, unlisted } = result;
  const paint = painter(process.stdout);
  const rows = outcomes.map(({ count: times, results, token }: Outcome) => [count(times), outcomeText(results), token]);
  const [heading = '', ...body] = alignColumns([['executions', 'results', 'replays with'], ...rows], new Set([0]));
  const lines = rows.length === 0 ? ['no execution ended without a failure'] : [paint('bold', heading), ...body];
  if (unlisted > 0) lines.push(`and ${plural(unlisted, 'execution')} with other results, too many to list`);
  return lines;
}

/** What was reached of what the guest marks, and what never; labels never reached are worth a line unasked. */
function coverLines({ covered, uncovered }: ExploreResult, all = false): string[] {
  return [
    ...(all && covered.length > 0 ? [`reached: ${covered.join(', ')}`] : []),
    ...(uncovered.length > 0 ? [`never reached: ${uncovered.join(', ')}`] : []),
  ];
}

/** `vCPU 0: 1, vCPU 1: -` would say less in more words: the values, in the order of the vCPUs. */
function outcomeText(results: readonly unknown[]): string {
  const text = results.map((value) => (value === undefined ? '-' : (toJson(value) ?? String(value)))).join(', ');
  return text.length <= LONGEST_OUTCOME ? text : `${text.slice(0, LONGEST_OUTCOME - 1)}…`;
}

/** The result as one object: of the failure's trace the steps are the list, the rest of it stands beside it. */
function jsonOf({ failure, ...result }: ExploreResult): Record<string, unknown> {
  return { ...result, failure: failure && failureJson(failure) };
}

function failureJson({ trace, ...failure }: ExploreFailure): Record<string, unknown> {
  const { version, actors, steps, lastMarks, waits, failure: failed } = trace;
  const location = failed?.location;
  return { ...failure, ...(location && { location }), traceVersion: version, actors, trace: steps, lastMarks, waits };
}

/** One line of JSON; values JSON does not know are given as text. */
export function toJson(result: unknown): string {
  return JSON.stringify(result, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

function count(number: number): string {
  return number.toLocaleString('en-US').replaceAll(',', ' ');
}

function percent(part: number): string {
  const percents = part * 100;
  if (percents < 0.01) return '0.01 %';
  return `${percents < 10 ? percents.toPrecision(2) : Math.floor(percents)} %`;
}

function plural(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
}
