/**
 * `upcall explore <scenario>`: searches a scenario's interleavings and prints what it found: the failure as a chart with
 * the command that replays it, or how far the search has come.
 *
 * Exit status: 0 if nothing failed, 1 if something did, 2 for wrong usage, 130 if it was interrupted.
 */
import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { UpcallError } from '../engine/errors';
import {
  type ExploreOptions,
  type ExploreProgress,
  MEMORY_MODELS,
  STRATEGIES,
  type StrategyName,
} from '../explore/options';
import { commandOptions, describeFailure, type ExploreResult, explore } from '../report/explore-result';
import { addScenarioOptions, addSeedOption, integerFrom, type ScenarioOptions } from './options';
import { ProgressLine } from './progress-line';
import { interruptible, locateScenario } from './run';
import { painter } from './terminal';
import { UsageError } from './usage-error';

const FAILED = 1;
const INTERRUPTED = 130;

interface ExploreCommandOptions extends ScenarioOptions {
  readonly strategy: StrategyName;
  readonly memoryModel: 'sc' | 'tso';
  readonly maxExecutions?: number;
  readonly maxSteps?: number;
  readonly preemptionBound?: number;
  readonly depth?: number;
  readonly seed?: number;
  readonly list?: boolean;
  readonly trace?: string;
  readonly json?: boolean;
}

/** Adds the command. */
export function registerExplore(program: Command): void {
  const command = program
    .command('explore')
    .description('search the interleavings of a scenario for one that fails')
    .argument('<scenario>', 'a .ts or .js file, or the name of a shipped example');
  addSeedOption(addScenarioOptions(command))
    .addOption(new Option('--strategy <name>', 'which interleaving comes next').choices(STRATEGIES).default('dpor'))
    .addOption(new Option('--memory-model <name>', 'order of plain accesses').choices(MEMORY_MODELS).default('sc'))
    .option('--max-executions <n>', 'end the search after so many executions', integerFrom(1))
    .option('--max-steps <n>', 'steps after which an execution counts as a livelock', integerFrom(1))
    .option('--preemption-bound <n>', 'only schedules with at most so many preemptions (dfs)', integerFrom(0))
    .option('--depth <n>', 'ordering constraints of the bugs looked for (pct)', integerFrom(1))
    .option('--list', 'list the different outcomes, each with a token that replays it')
    .option('--trace <file>', 'write the trace of the failure as JSON')
    .option('--json', 'print the result as one JSON object')
    .action((scenario: string, options: ExploreCommandOptions) => exploreCommand(scenario, options));
}

async function exploreCommand(given: string, options: ExploreCommandOptions): Promise<void> {
  const interrupt = interruptible();
  const progress = new ProgressLine(process.stderr);
  const file = locateScenario(given);
  try {
    const result = await usage(() =>
      explore(file, {
        ...exploreOptions(options),
        signal: interrupt.signal,
        onProgress: (snapshot) => progress.show(progressText(snapshot)),
      }),
    );
    progress.clear();
    if (options.trace !== undefined && result.failure !== null) {
      writeFileSync(options.trace, `${JSON.stringify(result.failure.trace)}\n`);
    }
    process.stdout.write(
      options.json
        ? `${toJson(result)}\n`
        : report([given, ...commandOptions(options)].join(' '), result, options.list === true),
    );
    if (result.failure !== null) process.exitCode = FAILED;
    else if (interrupt.signal.aborted) process.exitCode = INTERRUPTED;
  } finally {
    progress.clear();
    interrupt.dispose();
  }
}

/** What the package throws on purpose is wrong usage: one line. */
export async function usage<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof UpcallError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

function exploreOptions(options: ExploreCommandOptions): ExploreOptions {
  const { vcpus, abi, args, strategy, memoryModel, maxExecutions, maxSteps, preemptionBound, depth, seed } = options;
  return { vcpus, abi, args, strategy, memoryModel, maxExecutions, maxSteps, preemptionBound, depth, seed };
}

function progressText({ executions, blocked, executionsPerSecond, elapsedMs }: ExploreProgress): string {
  const cut = blocked > 0 ? `, ${blocked} cut off` : '';
  return `${executions} executions${cut}, ${executionsPerSecond}/s, ${Math.round(elapsedMs / 1000)} s`;
}

/** The report for people. */
function report(scenario: string, result: ExploreResult, list: boolean): string {
  const paint = painter(process.stdout);
  const lines: string[] = [];
  if (result.failure !== null) {
    const [heading = '', ...rest] = describeFailure(scenario, result.failure).split('\n');
    lines.push(paint('red', heading), ...rest, '');
  }
  if (list) {
    for (const { results, count, token } of result.outcomes) lines.push(`${count} × ${text(results)}  ${token}`);
    if (result.covered.length > 0) lines.push(`reached: ${result.covered.join(', ')}`);
    lines.push('');
  }
  const verdict = result.failure !== null ? 'failed' : result.complete ? 'holds in every interleaving' : 'held so far';
  const how = `${result.strategy}, ${result.memoryModel}, seed ${result.seed}`;
  lines.push(`${paint('bold', result.scenario)} ${verdict} (${how})`);
  const speed = `${result.elapsedMs} ms, ${result.executionsPerSecond}/s`;
  lines.push(`${result.executions} executions, ${result.blocked} cut off, ${result.steps} steps, ${speed}`);
  if (result.failure === null && result.incomplete !== null) lines.push(`not exhausted: ${result.incomplete}`);
  return `${lines.join('\n')}\n`;
}

/** One object; values JSON does not know are given as text. */
export function toJson(result: unknown): string {
  return JSON.stringify(result, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

function text(value: unknown): string {
  return toJson(value) ?? String(value);
}
