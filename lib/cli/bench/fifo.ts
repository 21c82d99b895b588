/** `fifo`: events under the FIFO ABI beside the 2-level one, and how their cost goes with the number of ports. */
import { row } from './events';
import { type BenchGroup, firstResult, runGuest } from './group';
import { type BenchResult, SAMPLES } from './measure';

interface Figures {
  /** ns per event. */
  readonly send: number;
  readonly dispatch: number;
  /** ns per port. */
  readonly bind: number;
  readonly unbind: number;
}

const FEW = 64;
const ALL = 131_071;
/** The 2-level ABI ends at 4,095. */
const SIZES = [
  { fifo: FEW, twoLevel: FEW },
  { fifo: 4096, twoLevel: 4095 },
  { fifo: ALL, twoLevel: 4095 },
] as const;
/** Upcalls per sample, each with 64 events. */
const BATCHES = 1500;

type Samples = ReadonlyMap<string, Figures[]>;

function key(events: '2l' | 'fifo', ports: number): string {
  return `${events} ${ports}`;
}

/** All configurations in turn, as often as there are samples. */
async function sampleAll(signal: AbortSignal): Promise<Samples> {
  const samples = new Map<string, Figures[]>();
  for (let i = 0; i < SAMPLES; i++) {
    for (const { fifo, twoLevel } of SIZES) {
      for (const [events, ports] of [
        ['fifo', fifo],
        ['2l', twoLevel],
      ] as const) {
        const taken = samples.get(key(events, ports)) ?? [];
        samples.set(key(events, ports), taken);
        if (taken.length > i) continue;
        const args = { ports, batches: BATCHES };
        taken.push(firstResult<Figures>(await runGuest('fifo', { args, events, signal })));
      }
    }
  }
  return samples;
}

function figuresOf(samples: Samples, events: '2l' | 'fifo', ports: number): readonly Figures[] {
  return samples.get(key(events, ports)) ?? [];
}

function count(ports: number): string {
  return `${ports.toLocaleString('en')} ports`;
}

export const fifo: BenchGroup = {
  name: 'fifo',
  description: 'send and dispatch under the FIFO ABI beside 2-level, with 64, 4,096 and 131,071 ports bound',
  async measure(signal) {
    const samples = await sampleAll(signal);
    const compare = (what: keyof Figures, unit: string, ports: number, beside: '2l' | 'fifo', besidePorts: number) => {
      const baseline = figuresOf(samples, beside, besidePorts);
      return (goal?: BenchResult['goal']): BenchResult =>
        row(
          `fifo, ${what}, ${count(ports)}`,
          unit,
          figuresOf(samples, 'fifo', ports).map((figures, i) => ({
            value: figures[what],
            baseline: baseline[i]?.[what] ?? Number.NaN,
          })),
          `${beside === '2l' ? '2-level' : 'FIFO'}, ${count(besidePorts)}`,
          goal === undefined ? {} : { goal },
        );
    };
    return [
      ...(['send', 'dispatch'] as const).flatMap((what) => [
        ...SIZES.map(({ fifo: ports, twoLevel }) => compare(what, 'ns per event', ports, '2l', twoLevel)()),
        compare(what, 'ns per event', ALL, 'fifo', FEW)({ of: 'ratio', atMost: 1.5 }),
      ]),
      ...(['bind', 'unbind'] as const).map((what) => compare(what, 'ns per port', ALL, '2l', 4095)()),
    ];
  },
};
