/**
 * A machine that runs, as tables: its vCPUs in the manner of `xl vcpu-list`, its event channels in that of `lsevtchn`. With an
 * earlier report to compare with, loads and rates are of the time in between, else since the boot.
 */
import type { MachineReport, ReportedDomain, ReportedVcpu } from '../../engine/monitor/protocol';
import type { ChannelSnapshot } from '../../engine/snapshot/schema';
import { visible } from '../visible-text';
import { kindOf } from './channels';

export interface Column<Row> {
  readonly heading: string;
  readonly right?: true;
  /** Goes first where there is no room; columns without it stay. */
  readonly dispensable?: number;
  text(row: Row): string;
}

export interface VcpuRow {
  readonly domain: string;
  readonly domainId: number;
  readonly vcpu: number;
  readonly state: string;
  readonly runningNs: number;
  /** Part of the time it ran, 0..1. */
  readonly load: number;
  readonly upcalls: number;
  readonly hypercalls: number;
  readonly events: number;
  /** Events per second, lately. */
  readonly rate: number;
}

export interface ChannelRow {
  readonly domain: string;
  readonly domainId: number;
  readonly channel: ChannelSnapshot;
  /** What it is and where it leads: `interdomain to 2:5`, `VIRQ_TIMER`. */
  readonly what: string;
  /** Edges per second, lately. */
  readonly rate: number;
}

export const VCPU_COLUMNS: readonly Column<VcpuRow>[] = [
  { heading: 'Name', text: ({ domain }) => domain },
  { heading: 'ID', right: true, dispensable: 4, text: ({ domainId }) => String(domainId) },
  { heading: 'VCPU', right: true, text: ({ vcpu }) => String(vcpu) },
  { heading: 'State', text: ({ state }) => state },
  { heading: 'Time(s)', right: true, dispensable: 5, text: ({ runningNs }) => (runningNs / 1e9).toFixed(1) },
  { heading: 'Load', right: true, text: ({ load }) => `${(load * 100).toFixed(1)}%` },
  { heading: 'Upcalls', right: true, dispensable: 2, text: ({ upcalls }) => String(upcalls) },
  { heading: 'Hypercalls', right: true, dispensable: 1, text: ({ hypercalls }) => String(hypercalls) },
  { heading: 'Events', right: true, dispensable: 6, text: ({ events }) => String(events) },
  { heading: 'Events/s', right: true, dispensable: 3, text: ({ rate }) => rate.toFixed(0) },
];

export const CHANNEL_COLUMNS: readonly Column<ChannelRow>[] = [
  { heading: 'Name', dispensable: 4, text: ({ domain }) => domain },
  { heading: 'ID', right: true, dispensable: 2, text: ({ domainId }) => String(domainId) },
  { heading: 'Port', right: true, text: ({ channel }) => String(channel.port) },
  { heading: 'VCPU', right: true, dispensable: 5, text: ({ channel }) => String(channel.vcpu) },
  { heading: 'P', text: ({ channel }) => flag(channel.pending) },
  { heading: 'M', text: ({ channel }) => flag(channel.masked) },
  { heading: 'Edges', right: true, dispensable: 3, text: ({ channel }) => String(channel.edges ?? '-') },
  { heading: 'Edges/s', right: true, dispensable: 6, text: ({ rate }) => rate.toFixed(0) },
  { heading: 'Channel', text: ({ what }) => what },
];

function flag(set: boolean): string {
  return set ? '1' : '0';
}

/** One line about the whole. */
export function headline({ scenario, engine, seed, elapsedNs, iterations, domains }: MachineReport): string {
  const vcpus = domains.reduce((sum, domain) => sum + domain.vcpus.length, 0);
  const channels = domains.reduce((sum, domain) => sum + domain.channels.length + domain.omittedChannels, 0);
  const parts = [
    `${visible(scenario)} on ${engine}, up ${(elapsedNs / 1e9).toFixed(1)} s`,
    ...(iterations === undefined ? [] : [`${iterations} iterations`]),
    plural(domains.length, 'domain'),
    plural(vcpus, 'vCPU'),
    plural(channels, 'channel'),
    `seed ${seed}`,
  ];
  return parts.join(', ');
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

export function vcpuRows(report: MachineReport, earlier?: MachineReport): VcpuRow[] {
  const seconds = secondsBetween(report, earlier);
  return report.domains.flatMap((domain) =>
    domain.vcpus.map((vcpu) => {
      const before = vcpuOf(earlier, domain.id, vcpu.id);
      const { upcalls, hypercalls, events, running: runningNs } = vcpu;
      return {
        domain: visible(domain.name),
        domainId: domain.id,
        vcpu: vcpu.id,
        state: vcpu.state,
        runningNs,
        load: loadOf(vcpu, before),
        upcalls,
        hypercalls,
        events,
        rate: Math.max(0, events - (before?.events ?? 0)) / seconds,
      };
    }),
  );
}

/** Under stress the times begin anew with each iteration: then the newest ones alone count. */
function loadOf(now: ReportedVcpu, before: ReportedVcpu | undefined): number {
  const total = (vcpu: ReportedVcpu): number => vcpu.running + vcpu.blocked + vcpu.offline;
  const continues = before !== undefined && now.running >= before.running && total(now) > total(before);
  const [running, passed] = continues
    ? [now.running - before.running, total(now) - total(before)]
    : [now.running, total(now)];
  return passed === 0 ? 0 : Math.min(1, running / passed);
}

export function channelRows(report: MachineReport, earlier?: MachineReport): ChannelRow[] {
  const seconds = secondsBetween(report, earlier);
  return report.domains.flatMap((domain) => {
    const before = new Map(domainOf(earlier, domain.id)?.channels.map(({ port, edges }) => [port, edges]));
    return domain.channels.map((channel) => ({
      domain: visible(domain.name),
      domainId: domain.id,
      channel,
      what: describe(channel),
      rate: Math.max(0, (channel.edges ?? 0) - (before.get(channel.port) ?? 0)) / seconds,
    }));
  });
}

/** Channels that the report leaves out. */
export function omittedChannels({ domains }: MachineReport): number {
  return domains.reduce((sum, domain) => sum + domain.omittedChannels, 0);
}

function describe(channel: ChannelSnapshot): string {
  const { xenConsumer, remoteDomain, remotePort, irq } = channel;
  const kind = kindOf(channel);
  const suffix = xenConsumer ? ", the hypervisor's" : '';
  if (remotePort !== undefined) return `${kind} to ${remoteDomain}:${remotePort}${suffix}`;
  if (remoteDomain !== undefined) return `${kind}, for ${remoteDomain}${suffix}`;
  return `${kind}${kind === 'PIRQ' ? ` ${irq}` : ''}${suffix}`;
}

function secondsBetween(report: MachineReport, earlier: MachineReport | undefined): number {
  return Math.max(1e-3, (report.elapsedNs - (earlier?.elapsedNs ?? 0)) / 1e9);
}

function domainOf(report: MachineReport | undefined, id: number): ReportedDomain | undefined {
  return report?.domains.find((domain) => domain.id === id);
}

function vcpuOf(report: MachineReport | undefined, domain: number, id: number): ReportedVcpu | undefined {
  return domainOf(report, domain)?.vcpus.find((vcpu) => vcpu.id === id);
}
