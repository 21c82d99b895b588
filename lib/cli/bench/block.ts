/**
 * `block`: reads and writes of a file through a driver domain, beside a worker that calls fs.readSync and fs.writeSync on the same
 * file. Both go through the system's page cache; neither flushes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { filePeer } from './baselines';
import { type BenchGroup, firstResult, runGuest } from './group';
import { type BenchResult, measurePairs, type Pair } from './measure';

const KIB = 1024;
const OPERATIONS = ['read', 'write'] as const;
const SIZES = [
  { bytes: 4 * KIB, rounds: 1000, note: 'one request of one segment' },
  { bytes: 64 * KIB, rounds: 150, note: 'two requests, of 44 KiB (11 segments) and 20 KiB' },
] as const;
const DEPTHS = [1, 8];

/** From ns a request. */
function perSecond(ns: number): number {
  return 1e9 / ns;
}

function pairsOf(file: string, signal: AbortSignal): Pair[] {
  return OPERATIONS.flatMap((operation) =>
    SIZES.flatMap(({ bytes, rounds, note }) => {
      const baseline = {
        name: `fs.${operation}Sync in a worker`,
        sample: async () => perSecond(await filePeer(operation, file, bytes, rounds)),
      };
      return DEPTHS.flatMap((depth): Pair[] => {
        const subject = async (): Promise<number> => {
          const args = { operation, bytes, depth, rounds, warmUp: Math.ceil(rounds / 10) };
          const options = { args, disks: { disk: file }, haltPolling: false, signal };
          return perSecond(firstResult<number>(await runGuest('block', options)));
        };
        const name = `block, ${operation} of ${bytes / KIB} KiB, ${depth} at a time`;
        return [{ name, unit: 'IOPS', subject, baseline, note }];
      });
    }),
  );
}

/** The same figures in bytes. */
function withThroughput(results: readonly BenchResult[]): BenchResult[] {
  return results.flatMap((result) => {
    const bytes = Number(/of (\d+) KiB/.exec(result.name)?.[1]) * KIB;
    const inMegabytes = (iops: number): number => (iops * bytes) / 1e6;
    const { median, min, max, baseline } = result;
    return [
      result,
      {
        ...result,
        unit: 'MB/s',
        median: inMegabytes(median),
        min: inMegabytes(min),
        max: inMegabytes(max),
        baseline: { ...baseline, median: inMegabytes(baseline.median) },
      },
    ];
  });
}

export const block: BenchGroup = {
  name: 'block',
  description: 'requests to a disk that another domain serves, beside the same file through fs in a worker',
  async measure(signal) {
    const directory = await mkdtemp(path.join(tmpdir(), 'upcall-bench-'));
    try {
      return withThroughput(await measurePairs(pairsOf(path.join(directory, 'disk.img'), signal), signal));
    } finally {
      await rm(directory, { recursive: true });
    }
  },
};
