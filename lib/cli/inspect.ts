/**
 * `upcall inspect <file>`: prints a crash dump.
 *
 * Exit status: 0, or 2 for a file that is no dump.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type Dump, DumpError, MOST_DUMP_BYTES, parseDump } from '../engine/snapshot/dump-file';
import { dumpLines } from '../report/listing/dump';
import { guestFrames } from './run-report';
import { UsageError } from './usage-error';

/** Adds the command. */
export function registerInspect(program: Command): void {
  program
    .command('inspect')
    .description('print a crash dump: domains, vCPUs, event channels, last accesses')
    .argument('<file>', 'written by --dump of run, stress, explore or replay')
    .option('--json', 'print the dump as one JSON object')
    .action((file: string, { json }: { readonly json?: boolean }) => {
      const dump = readDump(file);
      process.stdout.write(
        json ? `${JSON.stringify(dump)}\n` : `${dumpLines(dump, guestFrames(dump.failure.stack)).join('\n')}\n`,
      );
    });
}

function readDump(file: string): Dump {
  try {
    return parseDump(readText(file), file);
  } catch (error) {
    if (error instanceof DumpError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** The one file is looked at and read: a name could stand for another one by then. */
function readText(file: string): string {
  let opened: number | undefined;
  try {
    // A pipe without a writer must not hold us up.
    opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(opened);
    if (!stat.isFile()) throw new UsageError(`${file} is not a file: give one that --dump has written`);
    if (stat.size > MOST_DUMP_BYTES) {
      throw new UsageError(`${file} has ${Math.round(stat.size / 2 ** 20)} MiB: no dump is as large`);
    }
    return readFileSync(opened, 'utf8');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`cannot read the dump: ${(error as Error).message}`, { cause: error });
  } finally {
    if (opened !== undefined) closeSync(opened);
  }
}
