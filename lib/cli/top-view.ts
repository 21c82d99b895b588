/** What `upcall top` shows: the lines of a screen, from the last two reports and what the user has pressed. */
import type { MachineReport } from '../engine/monitor/protocol';
import {
  CHANNEL_COLUMNS,
  type ChannelRow,
  channelRows,
  headline,
  omittedChannels,
  VCPU_COLUMNS,
  type VcpuRow,
  vcpuRows,
} from '../report/listing/machine';
import { tableLines } from './machine-tables';
import { painter } from './terminal';

const SORTS = ['busiest first', 'in order'] as const;
const KEYS = 'q quit  p pause  s sort  c channels  v vCPUs  ↑↓ scroll  +/- faster, slower';
const SHORT_KEYS = 'q quit p pause s sort';

export class TopView {
  private reports: readonly MachineReport[] = [];
  private sort: (typeof SORTS)[number] = SORTS[0];
  private paused = false;
  private vcpus = true;
  private channels = true;
  /** Lines of the tables that are above the screen. */
  private scrolled = 0;

  /** The newest report. While paused it is not shown. */
  show(report: MachineReport): void {
    if (!this.paused) this.reports = [report, ...this.reports.slice(0, 1)];
  }

  /** @param height - of the screen */
  press(key: string, height: number): void {
    if (key === 'p' || key === 'space') this.paused = !this.paused;
    else if (key === 's') this.sort = this.sort === SORTS[0] ? SORTS[1] : SORTS[0];
    else if (key === 'c') this.channels = !this.channels;
    else if (key === 'v') this.vcpus = !this.vcpus;
    else this.scroll(key, height);
  }

  /** A screen: as many lines as it has, none wider. */
  lines(width: number, height: number, intervalMs: number): string[] {
    const [report, earlier] = this.reports;
    if (report === undefined || height < 1 || width < 1) return [];
    const paint = painter(process.stdout);
    const body = this.body(report, earlier, width);
    const room = Math.max(0, height - 2 - 1);
    this.scrolled = Math.max(0, Math.min(this.scrolled, body.length - room));
    const state = this.paused ? 'PAUSED' : `every ${intervalMs / 1000} s`;
    const rest = body.length - room - this.scrolled;
    const more = rest > 0 ? `, ${rest} lines below` : '';
    const keys = KEYS.length < width ? KEYS : SHORT_KEYS;
    const lines = [
      paint('bold', cut(headline(report), width)),
      cut(`${state}, ${this.sort}, ${totals(report, earlier)}${more}`, width),
      ...body
        .slice(this.scrolled, this.scrolled + room)
        .map((line) => (line.heading ? paint('bold', line.text) : line.text)),
    ];
    while (lines.length < height - 1) lines.push('');
    return [...lines.slice(0, height - 1), paint('dim', cut(keys, width))];
  }

  private body(report: MachineReport, earlier: MachineReport | undefined, width: number) {
    const busy = this.sort === SORTS[0];
    const vcpus = vcpuRows(report, earlier);
    const channels = channelRows(report, earlier);
    if (busy) {
      vcpus.sort((a: VcpuRow, b: VcpuRow) => b.load - a.load || b.rate - a.rate);
      channels.sort((a: ChannelRow, b: ChannelRow) => b.rate - a.rate);
    }
    const table = (lines: readonly string[]) =>
      lines.map((text, index) => ({ text: cut(text, width), heading: index === 0 }));
    const omitted = omittedChannels(report);
    return [
      ...(this.vcpus ? table(tableLines(VCPU_COLUMNS, vcpus, width)) : []),
      ...(this.vcpus && this.channels ? [{ text: '', heading: false }] : []),
      ...(this.channels ? table(tableLines(CHANNEL_COLUMNS, channels, width)) : []),
      ...(this.channels && omitted > 0 ? [{ text: cut(`and ${omitted} more`, width), heading: false }] : []),
    ];
  }

  private scroll(key: string, height: number): void {
    const page = Math.max(1, height - 4);
    const steps: Readonly<Record<string, number>> = {
      up: -1,
      k: -1,
      down: 1,
      j: 1,
      pageup: -page,
      pagedown: page,
      home: Number.NEGATIVE_INFINITY,
      end: Number.MAX_SAFE_INTEGER,
    };
    this.scrolled = Math.max(0, this.scrolled + (steps[key] ?? 0));
  }
}

/** Events, upcalls and hypercalls of the machine per second. */
function totals(report: MachineReport, earlier: MachineReport | undefined): string {
  const seconds = Math.max(1e-3, (report.elapsedNs - (earlier?.elapsedNs ?? 0)) / 1e9);
  const rate = (figure: 'events' | 'upcalls' | 'hypercalls'): string => {
    const sum = (of: MachineReport | undefined): number =>
      of === undefined ? 0 : of.domains.flatMap(({ vcpus }) => vcpus).reduce((all, vcpu) => all + vcpu[figure], 0);
    return Math.max(0, (sum(report) - sum(earlier)) / seconds).toFixed(0);
  };
  return `${rate('events')} events/s, ${rate('upcalls')} upcalls/s, ${rate('hypercalls')} hypercalls/s`;
}

function cut(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}
