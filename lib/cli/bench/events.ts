/**
 * `send`, `scan` and `throughput`: what an event costs its sender, its receiver, and both together; and that none of
 * them allocates or loses one.
 */
import { peers } from './baselines';
import { type BenchGroup, firstResult, runGuest } from './group';
import { type BenchResult, median, SAMPLES } from './measure';

interface SendFigures {
  readonly or: number;
  readonly pending: number;
  readonly masked: number;
  readonly delivered: number;
  readonly bytesPerCall: number;
}

interface ScanFigures {
  readonly figures: Readonly<Record<string, { readonly ns: number; readonly bare: number; readonly bytes: number }>>;
}

/** A row from samples that a guest took of itself and its baseline together. */
export function row(
  name: string,
  unit: string,
  samples: readonly { readonly value: number; readonly baseline: number }[],
  baseline: string,
  more: Pick<BenchResult, 'goal' | 'note'> = {},
): BenchResult {
  const values = samples.map(({ value }) => value);
  const baselineMedian = median(samples.map((sample) => sample.baseline));
  return {
    name,
    unit,
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    baseline: { name: baseline, median: baselineMedian },
    ratio: median(values) / baselineMedian,
    ...more,
  };
}

/** The guest's own figures, once per sample. */
async function sampleGuest<T>(scenario: string, signal: AbortSignal): Promise<T[]> {
  const samples: T[] = [];
  for (let i = 0; i < SAMPLES; i++) samples.push(firstResult<T>(await runGuest(scenario, { signal })));
  return samples;
}

export const send: BenchGroup = {
  name: 'send',
  description: 'EVTCHNOP_send on a pending port, on a masked one, and with delivery, beside one Atomics.or',
  async measure(signal) {
    const samples = await sampleGuest<SendFigures>('send', signal);
    const weight = (name: string, pick: (figures: SendFigures) => number, atMost: number) =>
      row(
        name,
        'ns per call',
        samples.map((figures) => ({ value: pick(figures), baseline: figures.or })),
        'Atomics.or',
        { goal: { of: 'ratio', atMost } },
      );
    return [
      weight('send, port already pending', ({ pending }) => pending, 4),
      weight('send, port masked', ({ masked }) => masked, 5),
      weight('send, delivered, nobody asleep', ({ delivered }) => delivered, 10),
      allocation(
        'send',
        samples.map(({ bytesPerCall }) => bytesPerCall),
      ),
    ];
  },
};

/** Heap that an event takes. The baseline is one object with a number in it, the least an allocation per event would be. */
function allocation(name: string, bytes: readonly number[]): BenchResult {
  const SMALLEST_OBJECT_BYTES = 24;
  return row(
    `${name}, heap`,
    'bytes per event',
    bytes.map((value) => ({ value, baseline: SMALLEST_OBJECT_BYTES })),
    'one small object',
    { goal: { of: 'median', atMost: 1 } },
  );
}

export const scan: BenchGroup = {
  name: 'scan',
  description: 'upcall dispatch with 1, 64 and 4095 ports pending, per event',
  async measure(signal) {
    const samples = await sampleGuest<ScanFigures>('scan', signal);
    const counts = Object.keys(samples[0]?.figures ?? {});
    const of = (count: string) => samples.map(({ figures }) => figures[count] ?? { ns: NaN, bare: NaN, bytes: NaN });
    return [
      ...counts.map((count) =>
        row(
          `scan, ${count} pending`,
          'ns per event',
          of(count).map(({ ns, bare }) => ({ value: ns, baseline: bare })),
          'bare bitmap loop, one Atomics.and each',
        ),
      ),
      allocation(
        'scan',
        counts.flatMap((count) => of(count).map(({ bytes }) => bytes)),
      ),
    ];
  },
};

interface Traffic {
  readonly senders: number;
  readonly receivers: number;
}

const SENDS = 300_000;

/** Events per second sent, with the account of every one of them. Throws if one was lost. */
async function traffic(
  { senders, receivers }: Traffic,
  signal: AbortSignal,
): Promise<{ perSecond: number; coalesced: number }> {
  const result = await runGuest('throughput', {
    vcpus: senders + receivers,
    args: { senders, sends: Math.floor(SENDS / senders) },
    signal,
  });
  const vcpus = result.domains[0]?.vcpus ?? [];
  const sending = vcpus.slice(0, senders).map(({ result: figures }) => figures as { sent: number; ns: number });
  const receiving = vcpus.slice(senders);
  const sent = sending.reduce((sum, { sent: each }) => sum + each, 0);
  const handled = receiving.reduce((sum, { result: figures }) => sum + (figures as { handled: number }).handled, 0);
  // Each receiver gets one event more: the announcement of the end.
  const edges = receiving.reduce((sum, { events }) => sum + events, 0) - receivers;
  if (handled !== edges) throw new Error(`${edges - handled} of ${edges} events were lost`);
  return { perSecond: (sent / Math.max(...sending.map(({ ns }) => ns))) * 1e9, coalesced: sent - edges };
}

export const throughput: BenchGroup = {
  name: 'throughput',
  description: 'events per second 1→1, 3→1 and 1→3, every one accounted for',
  async measure(signal) {
    const shapes: Traffic[] = [
      { senders: 1, receivers: 1 },
      { senders: 3, receivers: 1 },
      { senders: 1, receivers: 3 },
    ];
    const samples = shapes.map(() => [] as { value: number; baseline: number }[]);
    const coalesced = shapes.map(() => [] as number[]);
    for (let i = 0; i < SAMPLES; i++) {
      const baseline = 1e9 / (await peers('or-stream', SENDS));
      for (const [index, shape] of shapes.entries()) {
        signal.throwIfAborted();
        const figures = await traffic(shape, signal);
        samples[index]?.push({ value: figures.perSecond, baseline });
        coalesced[index]?.push(figures.coalesced / SENDS);
      }
    }
    return shapes.map(({ senders, receivers }, index) =>
      row(
        `throughput, ${senders}→${receivers}`,
        'events/s',
        samples[index] ?? [],
        'Atomics.or / exchange on one word',
        {
          note: `lost 0; ${Math.round(median(coalesced[index] ?? []) * 100)} % coalesced`,
        },
      ),
    );
  },
};
