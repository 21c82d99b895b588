/**
 * `upcall run <scenario>`: boots a scenario's machine and lets it run free. Console and log lines appear as they are
 * written, then what each vCPU did.
 *
 * Exit status: 0 if the run held, 1 if it failed, 130 if it was interrupted.
 */
import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import {
  DEFAULT_RECORDED_EVENTS,
  MOST_RECORDED_EVENTS,
  type OutputLine,
  type RunOptions,
  run,
} from '../engine/threads';
import { recordRun } from '../explore/record-run';
import { RUN_ONCE_ENGINES, type RunOnceOptions, runOnce, runOnceTraced } from '../explore/run-once';
import type { Trace } from '../explore/trace-format';
import { runStatistics } from '../report/statistics';
import { statisticsLines } from '../report/statistics-text';
import { visibleLines } from '../report/visible-text';
import { addDumpOption, checkDump, type DumpOption, dumpTo } from './dump-file';
import { shippedExample } from './examples';
import { addScenarioOptions, addSeedOption, integerBetween, integerFrom, type ScenarioOptions } from './options';
import { checkPictures, type PicturedRun, type PictureFiles, writeRunPictures } from './pictures';
import { ProgressLine } from './progress-line';
import { exitLines, failureLines, formatNs, progressText, vcpuTable } from './run-report';
import { painter, widthOf } from './terminal';
import { UsageError } from './usage-error';

const FAILED = 1;
const INTERRUPTED = 130;
/** A run longer than this shows that it lives. */
const PROGRESS_AFTER_MS = 2000;

interface RunCommandOptions extends ScenarioOptions, PictureFiles, DumpOption {
  readonly control?: string;
  readonly engine: 'threads' | (typeof RUN_ONCE_ENGINES)[number];
  readonly seed?: number;
  readonly watchdog?: number;
  readonly memory?: number;
  readonly wait?: boolean;
  /** true: without a number. */
  readonly record?: number | true;
  readonly json?: boolean;
}

/** Adds the command. */
export function registerRun(program: Command): void {
  const command = program
    .command('run')
    .description('run a scenario: freely, a worker thread per vCPU, or once under a deterministic engine')
    .argument('<scenario>', 'a .ts or .js file, or the name of a shipped example');
  addDumpOption(addSeedOption(addScenarioOptions(command)))
    .addOption(
      new Option('--engine <name>', 'who executes the vCPUs')
        .choices(['threads', ...RUN_ONCE_ENGINES])
        .default('threads'),
    )
    .option('--watchdog <ms>', 'longest silence of a running guest, 0 for no limit', integerFrom(0))
    .option('--memory <mb>', 'heap of each vCPU in MiB', integerFrom(8))
    .option('--control <socket>', 'make a socket at which upcall ps and upcall top show the run')
    .option('--wait', 'when every vCPU is blocked for good, wait instead of reporting a deadlock')
    .option(
      '--record [n]',
      `record what the threads do, the newest n events of each; default ${DEFAULT_RECORDED_EVENTS}`,
      integerBetween(1, MOST_RECORDED_EVENTS),
    )
    .option('--html <file>', 'record, and write a page that shows the run step by step, and its statistics')
    .option('--perfetto <file>', 'record, and write trace events, for ui.perfetto.dev or chrome://tracing')
    .option('--trace <file>', 'record, and write the trace as JSON')
    .option('--json', 'print the result as one JSON object')
    .action((scenario: string, options: RunCommandOptions) => runCommand(scenario, options));
}

/**
 * A path as given; if there is no such file, the shipped example of that name.
 * @throws UsageError if there is neither
 */
export function locateScenario(given: string): string {
  if (existsSync(given)) return given;
  const example = shippedExample(given);
  if (example !== undefined) return example;
  throw new UsageError(`no such scenario file: ${given}; upcall examples lists those that are shipped`);
}

async function runCommand(given: string, options: RunCommandOptions): Promise<void> {
  checkDump(options);
  const interrupt = interruptible();
  const progress = new ProgressLine(process.stderr);
  checkPictures(options);
  try {
    const { signal } = interrupt;
    const { onDump, notes } = dumpTo(options.dump);
    const run = await (options.engine === 'threads'
      ? runFreely(given, options, progress, { signal, onDump })
      : runStepwise(given, options, options.engine, progress, { signal, onDump }));
    progress.clear();
    const { result, trace, statistics } = run;
    if (trace !== undefined) {
      const { vcpus, abi, events, args } = options;
      writeRunPictures(options, { ...run, trace }, { vcpus, abi, events, args });
    }
    const told = options.json ? `${toJson(statistics ? { ...result, statistics } : result)}\n` : report(run, notes);
    process.stdout.write(told);
    if (result.failure !== null) process.exitCode = FAILED;
    if (interrupt.signal.aborted) process.exitCode = INTERRUPTED;
  } finally {
    progress.clear();
    interrupt.dispose();
  }
}

/** A run, and what else there is to show of it. */
type Ran = Omit<PicturedRun, 'trace'> & { readonly trace?: Trace };

function wantsPictures({ html, perfetto, trace }: PictureFiles): boolean {
  return html !== undefined || perfetto !== undefined || trace !== undefined;
}

async function runFreely(
  given: string,
  options: RunCommandOptions,
  progress: ProgressLine,
  common: Pick<RunOptions, 'signal' | 'onDump'>,
): Promise<Ran> {
  const file = locateScenario(given);
  const all: RunOptions = {
    ...runOptions(options),
    ...common,
    ...(options.json ? {} : printLines(progress)),
    onProgress: (snapshot) => {
      if (snapshot.elapsedMs >= PROGRESS_AFTER_MS) progress.show(progressText(snapshot));
    },
  };
  const { record } = options;
  if (record === undefined && !wantsPictures(options)) return { result: await run(file, all), token: null };
  const { result, trace, recording } = await recordRun(file, all, record === true ? undefined : record);
  return { result, trace, token: null, statistics: runStatistics(recording) };
}

/** Under a deterministic engine: the options that are about threads mean nothing there. */
async function runStepwise(
  given: string,
  options: RunCommandOptions,
  engine: RunOnceOptions['engine'],
  progress: ProgressLine,
  common: Pick<RunOptions, 'signal' | 'onDump'>,
): Promise<Ran> {
  for (const option of ['memory', 'wait', 'record', 'control'] as const) {
    if (options[option] !== undefined)
      throw new UsageError(`--${option} goes with --engine threads, not with ${engine}`);
  }
  const { vcpus, abi, events, args, seed, watchdog } = options;
  const onLog = options.json ? undefined : printLines(progress).onLog;
  const file = locateScenario(given);
  const all: RunOnceOptions = {
    engine,
    vcpus,
    abi,
    events,
    args,
    seed,
    watchdogMs: watchdog,
    ...common,
    onLog,
  };
  return wantsPictures(options) ? await runOnceTraced(file, all) : { result: await runOnce(file, all), token: null };
}

function runOptions(options: RunCommandOptions): RunOptions {
  const { vcpus, abi, events, args, seed, watchdog, memory, wait, control } = options;
  return {
    ...(vcpus === undefined ? {} : { vcpus }),
    ...(abi === undefined ? {} : { abi }),
    ...(events === undefined ? {} : { events }),
    ...(args === undefined ? {} : { args }),
    ...(seed === undefined ? {} : { seed }),
    ...(watchdog === undefined ? {} : { watchdogMs: watchdog }),
    ...(memory === undefined ? {} : { memoryLimitMb: memory }),
    ...(control === undefined ? {} : { control }),
    onDeadlock: wait ? 'wait' : 'exit',
    // Guests that may read the console get ours.
    input: process.stdin.isTTY ? typed(process.stdin) : process.stdin,
  };
}

/** What is typed at a terminal. A terminal turns ctrl-D into the end of its input; the guest gets the character. */
async function* typed(terminal: NodeJS.ReadStream): AsyncIterable<string | Uint8Array> {
  yield* terminal;
  yield '\x04';
}

/** Prints lines as they come: the console's with a bar, those of vcpu.log with a dot. */
export function printLines(progress: ProgressLine): Pick<RunOptions, 'onConsole' | 'onLog'> {
  const paint = painter(process.stdout);
  const print = (line: OutputLine, mark: string): void => {
    const speaker = line.vcpu === undefined ? line.domain : `${line.domain}/${line.vcpu}`;
    progress.around(() => process.stdout.write(`${paint('cyan', speaker)} ${mark} ${visibleLines(line.text)}\n`));
  };
  return { onConsole: (line) => print(line, '|'), onLog: (line) => print(line, '·') };
}

/**
 * The report for people.
 * @param notes - lines that go with a failure
 */
export function report(
  { result, statistics }: Pick<Ran, 'result' | 'statistics'>,
  notes: readonly string[] = [],
): string {
  const paint = painter(process.stdout);
  const figures = statistics === undefined ? [] : ['', ...statisticsLines(statistics, widthOf(process.stdout))];
  const [heading = '', ...rows] = vcpuTable(result);
  const [failure, ...frames] = failureLines(result);
  const lines = [
    '',
    paint('bold', heading),
    ...rows,
    '',
    ...exitLines(result),
    `${result.scenario} on ${result.engine}: ${formatNs(result.elapsedMs * 1e6)}, seed ${result.seed}`,
    ...figures,
    ...(failure === undefined ? [] : ['', paint('red', failure), ...frames, ...notes]),
  ];
  return `${lines.join('\n')}\n`;
}

/** One object; values JSON does not know are given as text. */
function toJson(result: unknown): string {
  return JSON.stringify(result, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

/** Ctrl-C asks the run to stop, a second one ends the process. */
export function interruptible(signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']): {
  readonly signal: AbortSignal;
  dispose(): void;
} {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  for (const each of signals) process.on(each, onSignal);
  return {
    signal: controller.signal,
    dispose() {
      for (const each of signals) process.off(each, onSignal);
    },
  };
}
