/** Which event-channel ports a step is about, told by the name of what it touches. */
import type { Trace, TraceStep } from '../../explore/trace-format';

/** The ports of one name: whole numbers, and the ranges that wide accesses cover. */
export interface PortSet {
  /** `''`, or `front.` where there are several domains. */
  readonly prefix: string;
  readonly ports: readonly number[];
  readonly range?: readonly [first: number, last: number];
}

const NO_PORTS: PortSet = { prefix: '', ports: [] };

export function portsOf({ name }: Pick<TraceStep, 'name'>): PortSet {
  if (name === undefined) return NO_PORTS;
  const channel = /^(.*?\.)?channel\[(\d+)\]/.exec(name);
  if (channel !== null) return { prefix: channel[1] ?? '', ports: [Number(channel[2])] };
  const eventWord = /^(.*?\.)?event_array\[(\d+)\]/.exec(name);
  if (eventWord !== null) return { prefix: eventWord[1] ?? '', ports: [Number(eventWord[2])] };
  const bitmap = /^(.*?\.)?shared_info\.evtchn_(?:pending|mask)\[\d+\]/.exec(name);
  if (bitmap === null) return NO_PORTS;
  const prefix = bitmap[1] ?? '';
  const range = /ports (\d+)\.\.(\d+)$/.exec(name);
  if (range !== null) return { prefix, ports: [], range: [Number(range[1]), Number(range[2])] };
  return { prefix, ports: [...name.matchAll(/ port (\d+)/g)].map(([, port]) => Number(port)) };
}

/** Whether a step is about a port, given as `3` or `front.3`. */
export function concernsPort(step: Pick<TraceStep, 'name'>, wanted: string): boolean {
  const { prefix, ports, range } = portsOf(step);
  if (!wanted.startsWith(prefix)) return false;
  const port = Number(wanted.slice(prefix.length));
  return ports.includes(port) || (range !== undefined && port >= range[0] && port <= range[1]);
}

/** All ports that some step is about, as `3` or `front.3`, by domain and number. */
export function portsIn({ steps }: Trace): string[] {
  const found = new Map<string, Set<number>>();
  for (const name of new Set(steps.map((step) => step.name))) {
    if (name === undefined) continue;
    const { prefix, ports } = portsOf({ name });
    for (const port of ports) found.set(prefix, (found.get(prefix) ?? new Set()).add(port));
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([prefix, ports]) => [...ports].sort((a, b) => a - b).map((port) => prefix + port));
}

/** What a step touches, without the bits it means: the same for all accesses to a word. */
export function placeOf(name: string): string {
  return name
    .replace(/ (ports? |bit |queue )\d.*$/, '')
    .replace(/ [A-Z_]+(, [A-Z_]+)*$/, '')
    .replace(/(event_array\[\d+\])\.[A-Z,]+$/, '$1');
}
