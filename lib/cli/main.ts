#!/usr/bin/env node
/**
 * The `upcall` command: registers the subcommands, each in its own file, and turns what goes wrong into a line and
 * an exit status.
 *
 * Exit status: 0 held; 1 a failure was found (set by the command); 2 wrong usage or bad input, one line on stderr;
 * 70 a defect of Upcall itself, with its stack; 130 interrupted.
 */
import { setFlagsFromString } from 'node:v8';
import { Command, CommanderError } from 'commander';
import { ScenarioError } from '../engine/errors';
import { ControlError } from '../engine/monitor/socket-path';
import { registerBench } from './bench';
import { registerConsole } from './console';
import { registerExamples } from './examples';
import { registerExplore } from './explore';
import { registerInspect } from './inspect';
import { registerLayout } from './layout';
import { packageVersion } from './package-root';
import { registerPs } from './ps';
import { registerReplay } from './replay';
import { registerRun } from './run';
import { registerStress } from './stress';
import { exitOnClosedPipe } from './terminal';
import { registerTop } from './top';
import { registerTour } from './tour';
import { UsageError } from './usage-error';

/**
 * A hypercall is many small functions on top of each other. V8 inlines them whole only with a larger budget than its default of 920
 * bytes of bytecode, and takes a quarter longer otherwise. For the whole process, hence set by the command, not by the library.
 */
const V8_FLAGS = '--max-inlined-bytecode-size-cumulative=3000';

const WRONG_USAGE = 2;
const INTERNAL_ERROR = 70;

/** The command line, complete. Errors are thrown, not printed. */
export function createProgram(): Command {
  const program = new Command('upcall')
    .description('Runs Xen-style multi-vCPU guests on worker threads, and searches their interleavings.')
    .version(packageVersion())
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  registerRun(program);
  registerConsole(program);
  registerStress(program);
  registerExplore(program);
  registerReplay(program);
  registerInspect(program);
  registerPs(program);
  registerTop(program);
  registerLayout(program);
  registerExamples(program);
  registerBench(program);
  registerTour(program);
  return program;
}

/** A message on one line, without commander's prefix. */
function oneLine(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
}

/** What the user can mend: usage, or a scenario that cannot be used. */
function isBadInput(error: unknown): error is Error {
  return (
    error instanceof CommanderError ||
    error instanceof UsageError ||
    error instanceof ScenarioError ||
    error instanceof ControlError
  );
}

/** `help nosuch` as `nosuch`, which is refused by name: commander's own answer is the whole help. */
function withoutHelpOnNothing({ commands }: Command, argv: readonly string[]): readonly string[] {
  const [first, topic] = argv;
  const unknown = first === 'help' && topic !== undefined && !commands.some((command) => command.name() === topic);
  return unknown ? argv.slice(1) : argv;
}

/** Runs the command; the status goes to process.exitCode, so that output is not cut off. */
export async function main(argv: readonly string[]): Promise<void> {
  exitOnClosedPipe();
  try {
    const program = createProgram();
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync(withoutHelpOnNothing(program, argv), { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    if (isBadInput(error)) {
      process.stderr.write(`upcall: ${oneLine(error.message)}\n`);
      process.exitCode = WRONG_USAGE;
    } else {
      process.stderr.write(`upcall: internal error: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exitCode = INTERNAL_ERROR;
    }
  }
}

if (require.main === module) {
  setFlagsFromString(V8_FLAGS);
  void main(process.argv.slice(2));
}
