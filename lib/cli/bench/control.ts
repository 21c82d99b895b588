/**
 * `control`: what it costs a guest that its machine has a control socket, and that somebody looks.
 *
 * The second is measured within a run: spans with a reader and without alternate, so that what else the host does falls on both.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { MonitorClient } from '../../engine/monitor/client';
import type { MachineReport } from '../../engine/monitor/protocol';
import { run } from '../../engine/threads';
import { row } from './events';
import { type BenchGroup, firstResult, runGuest } from './group';
import { type BenchResult, measurePairs } from './measure';

const EVENTS = 1_000_000;
/** As often as a person could want. */
const READ_INTERVAL_MS = 100;
const SPAN_MS = 500;
/** Pairs of spans, one more that is thrown away. */
const PAIRS = 20;
/** More channels than a screen has. */
const CHANNELS = 4096;

interface Figures {
  readonly handled: number;
  readonly ns: number;
}

export const control: BenchGroup = {
  name: 'control',
  description: 'events per second with a control socket and with a reader at 10 Hz, beside neither',
  async measure(signal) {
    const folder = mkdtempSync(path.join(tmpdir(), 'upcall-bench-'));
    const socket = path.join(folder, 's');
    try {
      const counting = {
        name: 'control, edges counted by port',
        unit: 'events/s',
        subject: () => eventsPerSecond(signal, socket),
        baseline: { name: 'no control socket', sample: () => eventsPerSecond(signal) },
      };
      return [...(await measurePairs([counting], signal)), await whileRead(socket, signal)];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

async function eventsPerSecond(signal: AbortSignal, socket?: string): Promise<number> {
  const options = { args: { events: EVENTS }, signal, ...(socket === undefined ? {} : { control: socket }) };
  const { handled, ns } = firstResult<Figures>(await runGuest('watched', options));
  if (handled !== EVENTS) throw new Error(`${EVENTS - handled} of ${EVENTS} events were lost`);
  return (EVENTS / ns) * 1e9;
}

async function whileRead(socket: string, signal: AbortSignal): Promise<BenchResult> {
  const end = new AbortController();
  const running = run(path.join(__dirname, 'scenarios', 'watched.js'), { control: socket, signal: end.signal });
  const samples: { value: number; baseline: number }[] = [];
  try {
    const client = await connected(socket, signal);
    for (let pair = -1; pair < PAIRS; pair++) {
      const baseline = await rateOver(client, SPAN_MS, signal);
      const value = await rateOver(client, READ_INTERVAL_MS, signal);
      if (pair >= 0) samples.push({ value, baseline });
    }
    client.close();
  } finally {
    end.abort();
    await running;
  }
  return row('control, read at 10 Hz', 'events/s', samples, 'the same run, nobody reads', {
    goal: { of: 'ratio', atLeast: 0.98 },
  });
}

async function connected(socket: string, signal: AbortSignal): Promise<MonitorClient> {
  for (;;) {
    signal.throwIfAborted();
    const client = await MonitorClient.connect(socket).catch(() => undefined);
    if (client !== undefined) return client;
    await setTimeout(1);
  }
}

/** Events per second in a span, in which the machine is looked at every so often. */
async function rateOver(client: MonitorClient, intervalMs: number, signal: AbortSignal): Promise<number> {
  const first = await client.machine(CHANNELS);
  let last: MachineReport = first;
  while (last.elapsedNs - first.elapsedNs < (SPAN_MS - intervalMs / 2) * 1e6) {
    signal.throwIfAborted();
    await setTimeout(intervalMs);
    last = await client.machine(CHANNELS);
  }
  return (eventsOf(last) - eventsOf(first)) / ((last.elapsedNs - first.elapsedNs) / 1e9);
}

function eventsOf({ domains }: MachineReport): number {
  return domains[0]?.vcpus[0]?.events ?? 0;
}
