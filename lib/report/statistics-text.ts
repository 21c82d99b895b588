/** The statistics of a recorded run in lines of text. */
import { formatTime } from './format-time';
import { type Latency, type RunStatistics, STATES } from './statistics-format';

const FIGURE = 9;
const LONGEST_BAR = 60;

/** A table of the vCPUs, and the latency of upcalls as a bar chart. @param width - of a line */
export function statisticsLines({ vcpus, fromNs, toNs, missing, latency }: RunStatistics, width: number): string[] {
  const names = Math.max(4, ...vcpus.map(({ name }) => name.length));
  const line = (name: string, figures: readonly string[]): string =>
    [name.padEnd(names), ...figures.map((figure) => figure.padStart(FIGURE))].join(' ');
  const rows = vcpus.map(({ name, ns, events }) => {
    const total = STATES.reduce((sum, state) => sum + ns[state], 0);
    const shares = STATES.map((state) => `${((100 * ns[state]) / Math.max(1, total)).toFixed(1)} %`);
    return line(name, [...shares, String(Math.round((events * 1e9) / Math.max(1, toNs - fromNs)))]);
  });
  const part = missing > 0 ? `, the end of the run: ${missing} earlier records were not kept` : '';
  return [
    `recorded: ${formatTime(toNs - fromNs)}${part}`,
    line('vCPU', [...STATES, 'events/s']),
    ...rows,
    ...(latency === null ? [] : ['', ...latencyLines(latency, width)]),
  ];
}

function latencyLines({ count, percentiles, minNs, maxNs, bars }: Latency, width: number): string[] {
  const most = bars.reduce((largest, bar) => Math.max(largest, bar.count), 0);
  const digits = String(most).length;
  const room = Math.max(8, Math.min(LONGEST_BAR, width - FIGURE - digits - 3));
  const chart: string[] = [];
  bars.forEach((bar, index) => {
    if (bar.count > 0) {
      const length = Math.max(1, Math.round((bar.count / most) * room));
      chart.push(
        `${formatTime(bar.fromNs).padStart(FIGURE)}  ${String(bar.count).padStart(digits)} ${'█'.repeat(length)}`,
      );
    } else if (bars[index - 1]?.count !== 0) chart.push('…'.padStart(FIGURE));
  });
  return [
    `send to handler, ${count} upcalls: ${formatTime(minNs)} to ${formatTime(maxNs)}`,
    percentiles.map(([percent, ns]) => `p${percent} ${formatTime(ns)}`).join(', '),
    ...chart,
  ];
}
