/**
 * `upcall bench [name…]`: the figures of the README, each beside its baseline, measured alternately in one run.
 */
import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Command } from 'commander';
import { shutdownPool } from '../engine/threads';
import { block } from './bench/block';
import { boot } from './bench/boot';
import { control } from './bench/control';
import { scan, send, throughput } from './bench/events';
import { explore } from './bench/explore';
import { fifo } from './bench/fifo';
import { chaos, reconstruct } from './bench/gallery';
import type { BenchGroup } from './bench/group';
import { ipi } from './bench/ipi';
import { lockstep } from './bench/lockstep';
import { type BenchResult, goalMet } from './bench/measure';
import { net } from './bench/net';
import { races } from './bench/races';
import { stress } from './bench/stress';
import { alignColumns } from './table';
import { fitTo, painter } from './terminal';
import { UsageError } from './usage-error';

const GROUPS: readonly BenchGroup[] = [
  ipi,
  send,
  scan,
  fifo,
  boot,
  throughput,
  net,
  block,
  explore,
  races,
  lockstep,
  stress,
  chaos,
  reconstruct,
  control,
];

const INTERRUPTED = 130;

/** What the figures were taken on. */
function machine(): object {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
  };
}

function chosen(names: readonly string[]): readonly BenchGroup[] {
  const unknown = names.find((name) => !GROUPS.some((group) => group.name === name));
  if (unknown !== undefined) {
    throw new UsageError(`no benchmark ${unknown}; choose from ${GROUPS.map(({ name }) => name).join(', ')}`);
  }
  return names.length === 0 ? GROUPS : GROUPS.filter(({ name }) => names.includes(name));
}

/** Three significant digits, without an exponent; nothing for what there is no figure of. */
function figure(value: number): string {
  if (Number.isNaN(value)) return '';
  if (!Number.isFinite(value)) return String(value);
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 4));
}

function goalText({ goal }: BenchResult): string {
  if (goal === undefined) return '';
  const bound = goal.atMost === undefined ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`;
  return goal.of === 'ratio' ? `${bound} ×` : bound;
}

function table(results: readonly BenchResult[]): string[] {
  const paint = painter(process.stdout);
  const rows = results.map((result) => [
    result.name,
    figure(result.median),
    `${figure(result.min)}–${figure(result.max)}`,
    result.unit,
    figure(result.baseline.median),
    result.baseline.name,
    Number.isNaN(result.ratio) ? '' : `${figure(result.ratio)} ×`,
    goalText(result),
    goalMet(result) ? (result.note ?? '') : `MISSED ${result.note ?? ''}`.trimEnd(),
  ]);
  const header = ['figure', 'median', 'range', 'unit', 'baseline', '', 'ratio', 'goal', ''];
  return alignColumns([header, ...rows], new Set([1, 2, 4, 6])).map((line, index) => {
    const fitted = fitTo(process.stdout, line);
    if (index === 0) return paint('dim', fitted);
    const result = results[index - 1];
    return result !== undefined && !goalMet(result) ? paint('yellow', fitted) : fitted;
  });
}

async function bench(names: readonly string[], { json }: { readonly json?: boolean }): Promise<void> {
  const groups = chosen(names);
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once('SIGINT', onInterrupt);
  const results: BenchResult[] = [];
  try {
    for (const { name, measure } of groups) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kmeasuring ${name} …`);
      // Threads that have run other guests have compiled code that serves those too, and this group's worse.
      await shutdownPool();
      results.push(...(await measure(interrupt.signal)));
    }
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.exitCode = INTERRUPTED;
  } finally {
    process.off('SIGINT', onInterrupt);
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
  if (json) process.stdout.write(`${JSON.stringify({ machine: machine(), results }, null, 2)}\n`);
  else process.stdout.write(`${Object.values(machine()).join(', ')}\n${table(results).join('\n')}\n`);
}

/** Adds the command. */
export function registerBench(program: Command): void {
  program
    .command('bench')
    .description('the figures of the README, each beside its baseline, measured in one run')
    .argument('[name...]', GROUPS.map(({ name }) => name).join(', '))
    .option('--json', 'one JSON object: machine, results')
    .action(bench);
}
