/** What this process holds: for campaigns that look for leaks. */
import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { findCollector } from '../../lib/engine/threads/spent-memory';

export interface Holdings {
  /** -1 where the system does not tell. */
  readonly threads: number;
  /** Open file handles; -1 where the system does not tell. */
  readonly files: number;
  /** After a collection. */
  readonly heapMiB: number;
  /** SharedArrayBuffers and what else lies outside the heap. */
  readonly sharedMiB: number;
  readonly rssMiB: number;
}

/** Collects garbage and looks. */
export async function holdings(): Promise<Holdings> {
  const collect = findCollector();
  for (let i = 0; i < 3; i++) {
    collect();
    await setImmediate();
  }
  const { arrayBuffers, external, heapUsed, rss } = process.memoryUsage();
  return {
    threads: entriesOf('/proc/self/task'),
    files: entriesOf('/proc/self/fd'),
    heapMiB: toMiB(heapUsed),
    sharedMiB: toMiB(Math.max(arrayBuffers, external)),
    rssMiB: toMiB(rss),
  };
}

function entriesOf(folder: string): number {
  try {
    return readdirSync(folder).length;
  } catch {
    return -1;
  }
}

function toMiB(bytes: number): number {
  return Math.round((bytes / 2 ** 20) * 10) / 10;
}
