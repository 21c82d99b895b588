/**
 * What a recorded run comes to in figures: how each vCPU spent its time, how many events came when, and how long an upcall
 * took from the store that makes it due to its handler.
 *
 * All of it is of the time in which nothing is missing from any thread's record: the end of the run, where more happened than
 * is kept.
 */
import { build } from 'hdr-histogram-js';
import { LogKind, type Recording, type ThreadLog } from '../engine/threads';
import type { Latency, OverTime, RunStatistics, State, VcpuTimes } from './statistics-format';

const MOST_SLICES = 120;
const LEAST_SLICES = 20;
/** Of a vCPU, on average. */
const EVENTS_PER_SLICE = 8;
/** An hour: longer latencies count as this long. */
const LONGEST_NS = 3_600_000_000_000;
const BARS_PER_DECADE = 8;
const PERCENTILES = [50, 90, 99, 99.9];

export function runStatistics({ threads, logs }: Recording): RunStatistics {
  const vcpus = logs.filter(({ row }) => threads[row]?.kind === 'vcpu');
  const begins = vcpus.flatMap(({ accesses }) => accesses[0]?.timeNs ?? []);
  const cutOff = logs.flatMap(({ missing, accesses }) => (missing > 0 ? (accesses[0]?.timeNs ?? []) : []));
  const fromNs = cutOff.length > 0 ? Math.max(...cutOff) : begins.length > 0 ? Math.min(...begins) : 0;
  const toNs = Math.max(fromNs, ...vcpus.flatMap(({ accesses }) => accesses.at(-1)?.timeNs ?? []));
  const raised = occurrences(logs, LogKind.RAISED, vcpus.length, fromNs);
  const kicked = occurrences(logs, LogKind.KICKED, vcpus.length, fromNs);
  return {
    fromNs,
    toNs,
    missing: logs.reduce((sum, { missing }) => sum + missing, 0),
    vcpus: vcpus.map((log, vcpu) => {
      const name = threads[log.row]?.name ?? '';
      return { name, ...timesOf(log, fromNs, toNs), events: raised[vcpu]?.length ?? 0 };
    }),
    overTime: overTime(raised, fromNs, toNs),
    latency: latency(vcpus, kicked, fromNs),
  };
}

/** When something happened to each vCPU, whoever did it. */
function occurrences(logs: readonly ThreadLog[], kind: number, vcpus: number, fromNs: number): number[][] {
  const times: number[][] = Array.from({ length: vcpus }, () => []);
  for (const { accesses } of logs) {
    for (const access of accesses) {
      if (access.kind === kind && access.timeNs >= fromNs) times[access.operand]?.push(access.timeNs);
    }
  }
  for (const list of times) list.sort((a, b) => a - b);
  return times;
}

function timesOf({ accesses }: ThreadLog, fromNs: number, toNs: number): Pick<VcpuTimes, 'ns' | 'upcalls'> {
  const ns: Record<State, number> = { running: 0, hypercall: 0, upcall: 0, blocked: 0 };
  const inside: State[] = [];
  let asleep = false;
  let ended = accesses.length === 0;
  let upcalls = 0;
  let last = Math.max(fromNs, accesses[0]?.timeNs ?? toNs);
  const spend = (timeNs: number): void => {
    if (timeNs <= last) return;
    if (!ended) ns[asleep ? 'blocked' : (inside.at(-1) ?? 'running')] += timeNs - last;
    last = timeNs;
  };
  for (const { kind, timeNs } of accesses) {
    spend(timeNs);
    if (kind === LogKind.UPCALL && timeNs >= fromNs) upcalls++;
    if (kind === LogKind.HYPERCALL) inside.push('hypercall');
    else if (kind === LogKind.UPCALL) inside.push('upcall');
    else if (kind === LogKind.HYPERCALL_END || kind === LogKind.UPCALL_END) inside.pop();
    else if (kind === LogKind.SLEEP || kind === LogKind.WAKE) asleep = kind === LogKind.SLEEP;
    else if (kind === LogKind.END) ended = true;
  }
  // Nobody notes the end of a sleep that lasts to the end.
  if (asleep) spend(toNs);
  return { ns, upcalls };
}

function overTime(raised: readonly (readonly number[])[], fromNs: number, toNs: number): OverTime {
  const total = raised.reduce((sum, times) => sum + times.length, 0);
  const fitting = Math.round(total / (EVENTS_PER_SLICE * Math.max(1, raised.length)));
  const count = Math.min(MOST_SLICES, Math.max(LEAST_SLICES, fitting));
  const sliceNs = Math.max(1, Math.ceil((toNs - fromNs + 1) / count));
  const events = raised.map((times) => {
    const slices = new Array<number>(count).fill(0);
    for (const time of times) {
      const slice = Math.floor((time - fromNs) / sliceNs);
      slices[slice] = (slices[slice] ?? 0) + 1;
    }
    return slices;
  });
  return { fromNs, sliceNs, events };
}

/**
 * A vCPU's upcalls and what made each due: the last store to evtchn_upcall_pending before it. A handler that runs already may
 * find the byte set and clear it; then no upcall follows, and the next store takes its place.
 */
function latency(vcpus: readonly ThreadLog[], kicked: readonly (readonly number[])[], fromNs: number): Latency | null {
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_NS,
    numberOfSignificantValueDigits: 3,
  });
  const all: number[] = [];
  vcpus.forEach(({ accesses }, vcpu) => {
    const kicks = kicked[vcpu] ?? [];
    let next = 0;
    for (const { kind, timeNs } of accesses) {
      if (kind !== LogKind.UPCALL || timeNs < fromNs) continue;
      let due: number | undefined;
      while (next < kicks.length && (kicks[next] as number) <= timeNs) due = kicks[next++];
      if (due === undefined) continue;
      const ns = Math.min(Math.max(1, Math.round(timeNs - due)), LONGEST_NS);
      histogram.recordValue(ns);
      all.push(ns);
    }
  });
  if (all.length === 0) return null;
  return {
    count: histogram.totalCount,
    minNs: histogram.minNonZeroValue,
    meanNs: histogram.mean,
    maxNs: histogram.maxValue,
    percentiles: PERCENTILES.map((percent) => [percent, histogram.getValueAtPercentile(percent)] as const),
    bars: bars(all),
  };
}

function bars(values: readonly number[]): Latency['bars'] {
  const place = (ns: number): number => Math.floor(Math.log10(ns) * BARS_PER_DECADE);
  const edge = (bar: number): number => 10 ** (bar / BARS_PER_DECADE);
  const places = values.map(place);
  const first = places.reduce((least, each) => Math.min(least, each));
  const last = places.reduce((most, each) => Math.max(most, each));
  const counts = new Array<number>(last - first + 1).fill(0);
  for (const each of places) (counts[each - first] as number)++;
  return counts.map((times, i) => ({ fromNs: edge(first + i), toNs: edge(first + i + 1), count: times }));
}
