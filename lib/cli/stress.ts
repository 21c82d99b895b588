/**
 * `upcall stress <scenario>`: runs a scenario over and over on free-running threads, until an iteration fails or the time is
 * up.
 *
 * Exit status: 0 if all iterations held, 1 if one failed, 130 if it was interrupted before.
 */
import type { Command } from 'commander';
import type { StressProgress } from '../engine/threads/stress';
import { type StressFailureReport, type StressResult, stress } from '../explore/stress';
import type { Trace } from '../explore/trace-format';
import { replayCommand } from '../report/command';
import { visibleLines } from '../report/visible-text';
import { addDumpOption, checkDump, type DumpOption, dumpTo } from './dump-file';
import { usage } from './explore';
import { addScenarioOptions, addSeedOption, integerFrom, parseDurationMs, type ScenarioOptions } from './options';
import { checkPictures, type PictureFiles, writeStressPictures } from './pictures';
import { ProgressLine } from './progress-line';
import { interruptible, locateScenario } from './run';
import { formatNs, guestFrames } from './run-report';
import { fitTo, painter } from './terminal';

const FAILED = 1;
const INTERRUPTED = 130;

interface StressCommandOptions extends ScenarioOptions, PictureFiles, DumpOption {
  readonly duration?: number;
  readonly iterations?: number;
  readonly chaos?: boolean;
  readonly seed?: number;
  readonly maxFailures?: number;
  readonly watchdog?: number;
  readonly memory?: number;
  readonly reconstruct?: boolean;
  readonly control?: string;
  readonly json?: boolean;
}

/** Adds the command. */
export function registerStress(program: Command): void {
  const command = program
    .command('stress')
    .description('run a scenario over and over on free-running threads, until it fails')
    .argument('<scenario>', 'a .ts or .js file, or the name of a shipped example');
  addDumpOption(addSeedOption(addScenarioOptions(command)))
    .option('--duration <time>', 'how long, such as 500ms, 30s, 5m; default 10s', parseDurationMs)
    .option('--iterations <n>', 'how often', integerFrom(1))
    .option('--chaos', 'delay accesses at random, so that narrow windows open')
    .option('--max-failures <n>', 'go on until so many iterations have failed; default 1', integerFrom(1))
    .option('--watchdog <ms>', 'longest time an iteration may take', integerFrom(1))
    .option('--memory <mb>', 'heap of each thread in MiB', integerFrom(8))
    .option('--control <socket>', 'make a socket at which upcall ps and upcall top show the machine')
    .option('--no-reconstruct', 'do not search for a schedule that fails the same way')
    .option('--html <file>', 'write a page that shows the first failure step by step')
    .option('--perfetto <file>', 'write the first failure as trace events, for ui.perfetto.dev or chrome://tracing')
    .option('--json', 'print the result as one JSON object')
    .action((scenario: string, options: StressCommandOptions) => stressCommand(scenario, options));
}

async function stressCommand(given: string, options: StressCommandOptions): Promise<void> {
  const interrupt = interruptible();
  const progress = new ProgressLine(process.stderr);
  const { duration, watchdog, memory, json, dump, html, perfetto, ...others } = options;
  checkDump(options);
  checkPictures(options);
  const { onDump, notes } = dumpTo(dump);
  try {
    const file = locateScenario(given);
    let log: Trace | undefined;
    const result = await stress(file, {
      ...others,
      ...(duration === undefined ? {} : { durationMs: duration }),
      ...(watchdog === undefined ? {} : { watchdogMs: watchdog }),
      ...(memory === undefined ? {} : { memoryLimitMb: memory }),
      signal: interrupt.signal,
      onDump,
      ...(html === undefined && perfetto === undefined ? {} : { onTrace: (trace) => (log = trace) }),
      onProgress: (snapshot) => progress.show(progressText(snapshot)),
    });
    progress.clear();
    const { vcpus, abi, events, args } = options;
    const subject = { given, file, setting: { vcpus, abi, events, args } };
    const told = await usage(() => writeStressPictures({ html, perfetto }, subject, result, log));
    const lines = [...notes, ...told];
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : report(result, given, options, lines));
    if (result.failures.length > 0) process.exitCode = FAILED;
    else if (result.interrupted) process.exitCode = INTERRUPTED;
  } finally {
    progress.clear();
    interrupt.dispose();
  }
}

function progressText({ iterations, elapsedMs, iterationsPerSecond, failures }: StressProgress): string {
  const failed = failures === 0 ? '' : `, ${count(failures)} failed`;
  return `${count(iterations)} iterations${failed}, ${count(iterationsPerSecond)}/s, ${Math.round(elapsedMs / 1000)} s`;
}

/** The report for people. */
function report(result: StressResult, given: string, options: StressCommandOptions, notes: readonly string[]): string {
  const { scenario, iterations, elapsedMs, iterationsPerSecond, failures, seed, chaos, interrupted } = result;
  const paint = painter(process.stdout);
  const held = failures.length === 0;
  const verdict = held ? 'held' : failures.length === 1 ? 'failed' : `failed ${count(failures.length)} times`;
  const how = `${chaos ? 'chaos, ' : ''}seed ${seed}`;
  const lines = [
    `${paint('bold', scenario)} ${paint(held ? 'green' : 'red', verdict)} under stress (${how})`,
    `${count(iterations)} iteration${iterations === 1 ? '' : 's'}, ${formatNs(elapsedMs * 1e6)}, ${count(iterationsPerSecond)}/s`,
    ...(interrupted ? ['interrupted'] : []),
    ...failures.flatMap((failure) => ['', ...failureLines(failure, given, options)]),
    ...notes,
  ];
  return `${lines.join('\n')}\n`;
}

function failureLines(failure: StressFailureReport, given: string, options: StressCommandOptions): string[] {
  const paint = painter(process.stdout);
  const { iteration, kind, message, seed, domain, vcpu, stack, token, reconstruction, log = [] } = failure;
  const where = vcpu === undefined ? '' : ` in ${domain === undefined ? '' : `${domain}/`}vCPU ${vcpu}`;
  const title = paint('red', `${kind}${where}: ${visibleLines(message)}`);
  const { vcpus, abi, events, args } = options;
  const again =
    token === null
      ? [`not reconstructed: ${reconstruction}`, ...log.map((line) => fitTo(process.stdout, line))]
      : [`reconstructed ${reconstruction}:`, `  ${replayCommand(given, { vcpus, abi, events, args }, token)}`];
  return [title, ...guestFrames(stack), `iteration ${count(iteration)}, seed ${seed}`, ...again];
}

function count(number: number): string {
  return number.toLocaleString('en-US').replaceAll(',', ' ');
}
