/**
 * `upcall ps <socket>`: what the domains of a run with `--control <socket>` are doing: vCPUs with state and load, event channels
 * with state, pending and mask bit and counts.
 *
 * Exit status: 0, or 2 if nothing serves the socket.
 */
import type { Command } from 'commander';
import { MonitorClient } from '../engine/monitor/client';
import { DEFAULT_CHANNELS, type MachineReport } from '../engine/monitor/protocol';
import { grantLines, servicePageLines } from '../report/listing/grants';
import {
  CHANNEL_COLUMNS,
  channelRows,
  headline,
  omittedChannels,
  VCPU_COLUMNS,
  vcpuRows,
} from '../report/listing/machine';
import { tableLines } from './machine-tables';
import { integerBetween } from './options';
import { fitTo, painter } from './terminal';

const MOST_CHANNELS = 1 << 17;

export interface PsOptions {
  readonly channels: number;
  readonly json?: boolean;
}

/** Adds the command. */
export function registerPs(program: Command): void {
  program
    .command('ps')
    .description('list vCPUs and event channels of a run with --control <socket>')
    .argument('<socket>', 'as the run was given it')
    .option('--channels <n>', 'channels of each domain', integerBetween(0, MOST_CHANNELS), DEFAULT_CHANNELS)
    .option('--json', 'print the report as one JSON object')
    .action(psCommand);
}

/** Prints one report. */
export async function psCommand(socket: string, { channels, json }: PsOptions): Promise<void> {
  const client = await MonitorClient.connect(socket);
  try {
    const report = await client.machine(channels);
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${reportLines(report).join('\n')}\n`);
  } finally {
    client.close();
  }
}

function reportLines(report: MachineReport): string[] {
  const { stdout } = process;
  const paint = painter(stdout);
  const width = stdout.isTTY ? stdout.columns : Number.POSITIVE_INFINITY;
  const table = ([heading = '', ...lines]: readonly string[]): string[] => [
    paint('bold', fitTo(stdout, heading)),
    ...lines.map((line) => fitTo(stdout, line)),
  ];
  const omitted = omittedChannels(report);
  const shared = report.domains
    .flatMap((domain) => [...grantLines(domain), ...servicePageLines(domain)])
    .map((line) => fitTo(stdout, line));
  return [
    fitTo(stdout, headline(report)),
    '',
    ...table(tableLines(VCPU_COLUMNS, vcpuRows(report), width)),
    '',
    ...table(tableLines(CHANNEL_COLUMNS, channelRows(report), width)),
    ...(omitted > 0 ? [`and ${omitted} more: --channels ${MOST_CHANNELS} lists them`] : []),
    ...(shared.length > 0 ? ['', ...shared] : []),
  ];
}
