/**
 * `upcall replay <scenario> <token | trace file>`: executes one schedule again, step by step, and prints it as a chart.
 *
 * Exit status: 0 if the execution held, 1 if it failed, 2 if the token cannot be used or followed.
 */
import { readFileSync, statSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { MEMORY_MODELS } from '../explore/options';
import { REPLAY_ENGINES, type ReplayEngine, type ReplayOptions, type ReplayResult, replay } from '../explore/replay';
import { chart } from '../report/chart';
import type { ReplaySetting } from '../report/command';
import { summarise } from '../report/summary';
import { parseTraceFile } from '../report/trace-file';
import { addDumpOption, checkDump, type DumpOption, dumpTo } from './dump-file';
import { toJson, usage } from './explore';
import { addScenarioOptions, integerFrom } from './options';
import { checkPictures, failureOf, type PageSubject, type PictureFiles, writeReplayPictures } from './pictures';
import { interruptible, locateScenario } from './run';
import { chartOptions, painter } from './terminal';
import { UsageError } from './usage-error';

const FAILED = 1;
const INTERRUPTED = 130;

interface ReplayCommandOptions extends ReplaySetting, PictureFiles, DumpOption {
  readonly engine: ReplayEngine;
  readonly compare?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** Adds the command. */
export function registerReplay(program: Command): void {
  const command = program
    .command('replay')
    .description('execute one schedule of a scenario again, step by step')
    .argument('<scenario>', 'a .ts or .js file, or the name of a shipped example')
    .argument('<token>', 'what explore printed, or the file that explore --trace wrote');
  addDumpOption(addScenarioOptions(command))
    .addOption(new Option('--memory-model <name>', 'as given to explore; the token has it').choices(MEMORY_MODELS))
    .option('--max-steps <n>', 'steps after which the execution counts as a livelock', integerFrom(1))
    .addOption(new Option('--engine <name>', 'who executes the vCPUs').choices(REPLAY_ENGINES).default('inline'))
    .option('--html <file>', 'write a page that shows the execution step by step')
    .option('--perfetto <file>', 'write the execution as trace events, for ui.perfetto.dev or chrome://tracing')
    .option('--compare <token>', 'on that page, show another schedule (a token, or a trace file) beside it')
    .option('--verbose', 'show every step')
    .option('--json', 'print the result as one JSON object')
    .action((scenario: string, token: string, options: ReplayCommandOptions) =>
      replayCommand(scenario, token, options),
    );
}

async function replayCommand(given: string, source: string, options: ReplayCommandOptions): Promise<void> {
  const interrupt = interruptible();
  const { html, compare } = options;
  if (compare !== undefined && html === undefined) {
    throw new UsageError('--compare is for the page: give --html <file> as well');
  }
  checkPictures(options);
  checkDump(options);
  try {
    const dump = dumpTo(options.dump);
    const executed = await usage(() => execute(given, source, options, interrupt.signal, dump.onDump));
    const { result } = executed;
    await usage(async () => {
      const compared = compare === undefined ? undefined : await execute(given, compare, options, interrupt.signal);
      await writeReplayPictures(options, executed.subject, executed.token, result, compared);
    });
    const lines = dump.notes.map((note) => `${note}\n`).join('');
    process.stdout.write(options.json ? `${toJson(result)}\n` : report(result, options.verbose) + lines);
    if (result.failure !== null) process.exitCode = FAILED;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.exitCode = INTERRUPTED;
  } finally {
    interrupt.dispose();
  }
}

interface Executed {
  readonly token: string;
  readonly result: ReplayResult;
  readonly subject: PageSubject;
}

async function execute(
  given: string,
  source: string,
  options: ReplayCommandOptions,
  signal: AbortSignal,
  onDump?: ReplayOptions['onDump'],
): Promise<Executed> {
  const { token, setting } = readSource(source);
  const { engine, memoryModel, vcpus = setting.vcpus, abi = setting.abi, maxSteps = setting.maxSteps } = options;
  const { events = setting.events } = options;
  const args = options.args === undefined ? setting.args : options.args;
  const file = locateScenario(given);
  const result = await replay(file, token, { engine, vcpus, abi, events, args, maxSteps, signal, onDump });
  if (memoryModel !== undefined && memoryModel !== result.trace.memoryModel) {
    throw new UsageError(`the token is of memory model ${result.trace.memoryModel}, not ${memoryModel}`);
  }
  if (!result.followed) {
    throw new UsageError(
      `step ${result.divergedAt} of the token cannot be executed: has the code changed since it was printed?`,
    );
  }
  return { token, result, subject: { given, file, setting: { vcpus, abi, events, args, memoryModel, maxSteps } } };
}

/** A token as it is, or one from a file: a trace, or nothing but the token. */
function readSource(source: string): { token: string; setting: ReplaySetting } {
  if (!isFile(source)) {
    if (/[/\\]|\.json$/.test(source)) throw new UsageError(`no such file: ${source}; give a token or a trace file`);
    return { token: source, setting: {} };
  }
  const text = readFileSync(source, 'utf8').trim();
  if (/^u\d+-/.test(text)) return { token: text, setting: {} };
  const { token, options } = parseTraceFile(text, source);
  return { token, setting: options };
}

/** False too for what cannot name a file: tokens are longer than names may be. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function report(result: ReplayResult, verbose?: boolean): string {
  const { scenario, trace, results, preemptions, engine } = result;
  const failure = failureOf(result);
  const paint = painter(process.stdout);
  const body = chart(trace, chartOptions(process.stdout, verbose));
  if (failure === null) return `${body}\n\n${paint('green', `${scenario} held`)} (${engine}): ${toJson(results)}\n`;
  const [what, where] = summarise(trace, failure, preemptions);
  return `${paint('red', what)}\n${where} (${engine})\n\n${body}\n`;
}
