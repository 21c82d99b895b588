/** `--dump FILE`: where a crash dump goes. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { formatDump } from '../engine/snapshot/dump';
import type { Dump } from '../engine/snapshot/dump-file';
import { checkOutput } from './page-file';

export interface DumpOption {
  readonly dump?: string;
}

/** Adds --dump. */
export function addDumpOption(command: Command): Command {
  return command.option('--dump <file>', "if it fails, write the machine's state there; see upcall inspect");
}

/** Before anything runs rather than after it. */
export function checkDump({ dump }: DumpOption): void {
  checkOutput(dump, 'dump');
}

/** Takes the dump of a run for a file, if one is wanted, and lines for the report. */
export interface DumpTaker {
  readonly onDump?: (dump: Dump) => void;
  /** Filled when there is a dump. */
  readonly notes: readonly string[];
}

export function dumpTo(file: string | undefined): DumpTaker {
  const notes: string[] = [];
  if (file === undefined) return { notes };
  return { notes, onDump: (dump) => void notes.push(writeDump(file, dump)) };
}

/**
 * Writes a dump for its owner alone: what guests had in memory need not be for everybody.
 * @returns a line that tells where it is, or why it could not be written
 */
function writeDump(file: string, dump: Dump): string {
  try {
    writeFileSync(file, formatDump(dump), { mode: 0o600 });
    return `dump written: upcall inspect ${file}`;
  } catch (error) {
    return `cannot write the dump: ${(error as Error).message}`;
  }
}
