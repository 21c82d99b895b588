/**
 * `upcall console <scenario> [domain]`: runs a scenario freely with the terminal attached to a domain's PV console. What is
 * typed goes in, ctrl-C included; ctrl-] detaches, and the run, which lives in this process, ends with it.
 *
 * Exit status: 0 if the run held or the user detached, 1 if it failed, 130 if it was interrupted.
 */
import type { Command } from 'commander';
import { type MachinePlan, planMachine } from '../engine/machine-plan';
import { resolveScenario } from '../engine/resolve-scenario';
import type { RunResult } from '../engine/run-result';
import { run } from '../engine/threads';
import { ConsoleSession, type TerminalEnds } from './console-session';
import { addScenarioOptions, addSeedOption, integerFrom, type ScenarioOptions } from './options';
import { interruptible, locateScenario } from './run';
import { exitLines, failureLines } from './run-report';
import { UsageError } from './usage-error';

const FAILED = 1;
const INTERRUPTED = 130;

interface ConsoleCommandOptions extends ScenarioOptions {
  readonly seed?: number;
  readonly watchdog?: number;
  readonly list?: boolean;
}

/** Adds the command. */
export function registerConsole(program: Command): void {
  const command = program
    .command('console')
    .description("run a scenario with the terminal attached to a domain's console; ctrl-] detaches")
    .argument('<scenario>', 'a .ts or .js file, or the name of a shipped example')
    .argument('[domain]', 'whose console; default the first that has one');
  addSeedOption(addScenarioOptions(command))
    .option('--list', 'list the domains that have a console, and run nothing')
    .option('--watchdog <ms>', 'longest silence of a running guest, 0 for no limit', integerFrom(0))
    .action(consoleCommand);
}

async function consoleCommand(
  given: string,
  domain: string | undefined,
  options: ConsoleCommandOptions,
): Promise<void> {
  const file = locateScenario(given);
  const { subject } = await resolveScenario(file);
  const { vcpus, abi, events, args } = options;
  const names = domainsWithConsole(planMachine(subject, { vcpus, abi, events, args }));
  if (names.length === 0) {
    throw new UsageError(`scenario '${subject.name}' has no console: give it console: true`);
  }
  if (options.list) {
    process.stdout.write(names.map((name) => `${name}\n`).join(''));
    return;
  }
  const name = domain ?? (names[0] as string);
  if (!names.includes(name)) {
    throw new UsageError(
      `there is no console of a domain '${name}'; there ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}`,
    );
  }
  const again = `upcall console ${given}${domain === undefined ? '' : ` ${domain}`}`;
  await attachAndRun(file, name, options, again);
}

function domainsWithConsole({ services }: MachinePlan): string[] {
  const console = services.find(({ service }) => service.name === 'console');
  return console?.config.domains.map(({ name }) => name) ?? [];
}

async function attachAndRun(
  file: string,
  domain: string,
  options: ConsoleCommandOptions,
  again: string,
): Promise<void> {
  const interrupt = interruptible(['SIGINT', 'SIGTERM', 'SIGHUP']);
  const ends: TerminalEnds = { input: process.stdin, output: process.stdout, status: process.stderr };
  const session = new ConsoleSession(ends);
  const { vcpus, abi, events, args, seed, watchdog } = options;
  try {
    session.attach(domain);
    const result = await run(file, {
      ...{ vcpus, abi, events, args, seed, watchdogMs: watchdog },
      signal: AbortSignal.any([interrupt.signal, session.detached]),
      consoleInput: { [domain]: session.typed },
      onConsoleOutput: (output) => {
        if (output.domain === domain) session.write(output.bytes);
      },
    });
    const { inputEnded } = session;
    session.release();
    const [detached, interrupted] = [session.detached.aborted, interrupt.signal.aborted];
    conclude(result, { again, detached, interrupted, inputEnded });
  } finally {
    session.release();
    interrupt.dispose();
  }
}

interface Ending {
  /** The command that starts it anew. */
  readonly again: string;
  readonly detached: boolean;
  readonly interrupted: boolean;
  readonly inputEnded: boolean;
}

function conclude(result: RunResult, { again, detached, interrupted, inputEnded }: Ending): void {
  const report = (lines: readonly string[]): void => {
    process.stderr.write(lines.map((line) => `${line}\n`).join(''));
  };
  if (detached) {
    report(['', `Detached; the run has ended with it. A new one: ${again}`]);
  } else if (interrupted) {
    report(['', 'Interrupted; the run has ended.']);
    process.exitCode = INTERRUPTED;
  } else {
    const hint =
      result.failure?.kind === 'deadlock' && inputEnded ? ['The input has ended while a guest waits for more.'] : [];
    report(['', ...exitLines(result), ...failureLines(result), ...hint]);
    if (result.failure !== null) process.exitCode = FAILED;
  }
}
