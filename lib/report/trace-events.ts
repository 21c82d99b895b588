/**
 * A trace as trace events: the JSON that ui.perfetto.dev and chrome://tracing open. A process per domain and one for the
 * hardware, a thread per actor, an arrow per event, a counter of pending ports. A step lasts a microsecond; of a recorded run it is
 * where its time is.
 *
 * @source Trace Event Format (Google, "Trace Event Format" document), JSON object format
 */
import { FIFO } from '../abi';
import type { Trace, TraceDomain, TraceStep } from '../explore/trace-format';
import { effectOf } from './rows';
import { type LinkKind, linksOf } from './timeline/links';
import { isNarrow, WordHistory } from './timeline/word-history';
import { EventTime } from './trace-event-time';
import { visible } from './visible-text';

/** One event, as the format has them. Times are in microseconds. */
export interface TraceEvent {
  readonly name: string;
  /** Category. */
  readonly cat?: string;
  /** `X` slice, `s` `f` ends of an arrow, `C` counter, `i` instant, `M` metadata. */
  readonly ph: 'X' | 's' | 'f' | 'C' | 'i' | 'M';
  readonly ts: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid?: number;
  readonly id?: number;
  /** Of an arrow's end: it belongs to the slice around it. */
  readonly bp?: 'e';
  /** Of an instant: whom it concerns, its thread or everyone. */
  readonly s?: 't' | 'g';
  readonly args?: Readonly<Record<string, unknown>>;
}

const ARROWS: Readonly<Record<LinkKind, string>> = {
  upcall: 'event',
  wake: 'wake',
  flush: 'store reaches memory',
  race: 'data race',
};

/** The file's text. */
export function formatTraceEvents(trace: Trace): string {
  const file = {
    displayTimeUnit: 'ns',
    otherData: { scenario: trace.scenario, memoryModel: trace.memoryModel, failure: trace.failure?.message ?? null },
    traceEvents: traceEvents(trace),
  };
  return `${JSON.stringify(file)}\n`;
}

export function traceEvents(trace: Trace): TraceEvent[] {
  return new EventWriter(trace).write();
}

class EventWriter {
  private readonly events: TraceEvent[] = [];
  private readonly history: WordHistory;
  private readonly domains: readonly TraceDomain[];
  private readonly time: EventTime;

  constructor(private readonly trace: Trace) {
    this.history = new WordHistory(trace);
    this.domains = trace.memory?.domains ?? [];
    this.time = new EventTime(trace);
  }

  write(): TraceEvent[] {
    this.names();
    for (const actor of this.trace.actors.keys()) {
      this.brackets(actor);
      this.sleeps(actor);
    }
    this.trace.steps.forEach((step, index) => {
      this.step(step, index);
    });
    this.arrows();
    this.counters();
    this.failure();
    return this.events;
  }

  private names(): void {
    const { trace, domains } = this;
    const processes = new Map<number, string>();
    trace.actors.forEach((name, actor) => {
      const pid = this.pid(actor);
      processes.set(pid, domains[pid - 1]?.name ?? (domains.length === 0 ? trace.scenario : 'hardware'));
      const thread = { ph: 'M', ts: 0, pid, tid: actor } as const;
      this.events.push({ ...thread, name: 'thread_name', args: { name } });
      this.events.push({ ...thread, name: 'thread_sort_index', args: { sort_index: actor } });
    });
    for (const [pid, name] of processes) {
      this.events.push({ name: 'process_name', ph: 'M', ts: 0, pid, args: { name: visible(name) } });
    }
  }

  /** Domains from 1 on, then the hardware. */
  private pid(actor: number): number {
    const { domains, trace } = this;
    const program = trace.actorKinds?.[actor] === 'buffer' ? actor - trace.actorKinds.indexOf('buffer') : actor;
    const domain = domains.findIndex(({ actors }) => actors.includes(program));
    return domain < 0 ? domains.length + 1 : domain + 1;
  }

  /** Hypercalls and upcalls, from their first step to their last. */
  private brackets(actor: number): void {
    const { trace, time } = this;
    const { steps, lastMarks } = trace;
    const open: { name: string; kind: string; from: number }[] = [];
    const end = (at: number): void => {
      const bracket = open.pop();
      if (bracket === undefined || at <= bracket.from) return;
      this.slice(actor, bracket.name, bracket.kind, bracket.from, at);
    };
    let done = time.begin(0);
    steps.forEach((step, index) => {
      if (step.actor !== actor) return;
      const now = time.begin(index);
      for (const mark of step.marks) {
        const at = time.ofMark(mark, now);
        if (mark.kind === 'hypercall' || mark.kind === 'upcall')
          open.push({ name: mark.text, kind: mark.kind, from: at });
        else if (mark.kind === 'log') this.instant(actor, visible(mark.text.trimEnd()), 'log', at);
        // It ended with the actor's step before.
        else end(time.ofMark(mark, done));
      }
      if (step.preempted !== undefined) this.instant(step.preempted, 'preempted', 'schedule', now);
      done = time.end(index);
    });
    for (const mark of lastMarks[actor] ?? []) {
      const at = time.ofMark(mark, done);
      if (mark.kind === 'log') this.instant(actor, visible(mark.text.trimEnd()), 'log', at);
      else if (mark.kind.endsWith('-end')) end(at);
      else open.push({ name: mark.text, kind: mark.kind, from: at });
    }
    // Those it never left last to the end of the trace.
    while (open.length > 0) end(time.last);
  }

  private sleeps(actor: number): void {
    const { trace, time } = this;
    const first = trace.steps.flatMap(({ turns = [] }) => turns.filter((turn) => turn.actor === actor))[0];
    // A record may begin while it sleeps.
    let since = first?.kind === 'wake' ? time.begin(0) : -1;
    let name = 'asleep';
    trace.steps.forEach(({ turns = [] }, index) => {
      for (const turn of turns) {
        if (turn.actor !== actor) continue;
        const at = time.ofMark(turn, time.end(index));
        if (turn.kind === 'sleep') {
          since = at;
          name = turn.text;
        } else if (since >= 0) {
          if (at > since) this.slice(actor, name, 'asleep', since, at);
          since = -1;
        }
      }
    });
    if (since >= 0 && since < time.last) this.slice(actor, name, 'asleep', since, time.last);
  }

  private step(step: TraceStep, index: number): void {
    const { actor, op, name, operand, before, after, result, location } = step;
    const place = name === undefined ? '' : ` ${name}`;
    const args = { step: index + 1, operand, result, before, after, location };
    const title = visible(`${op}${place}${effectOf(step, this.trace.memoryModel)}`);
    this.events.push({
      name: title,
      cat: 'step',
      ph: 'X',
      ts: this.time.begin(index),
      dur: this.time.end(index) - this.time.begin(index),
      pid: this.pid(actor),
      tid: actor,
      args,
    });
  }

  private slice(actor: number, name: string, cat: string, from: number, to: number): void {
    this.events.push({
      name: visible(name),
      cat,
      ph: 'X',
      ts: from,
      dur: to - from,
      pid: this.pid(actor),
      tid: actor,
    });
  }

  private instant(actor: number, name: string, cat: string, ts: number): void {
    this.events.push({ name, cat, ph: 'i', ts, s: 't', pid: this.pid(actor), tid: actor });
  }

  /** From the middle of a step to the middle of what it leads to. */
  private arrows(): void {
    const { time } = this;
    linksOf(this.trace, this.history).forEach(({ kind, from, to, fromActor, toActor }, id) => {
      const arrow = { name: ARROWS[kind], cat: kind, id } as const;
      const begins = time.within(from, 0.25);
      const ends = kind === 'wake' ? time.wakes(to, toActor) : time.within(to, 0.75);
      // Clocks of two threads are some nanoseconds apart: what would lead backwards is not drawn.
      if (ends <= begins) return;
      this.events.push({ ...arrow, ph: 's', ts: begins, pid: this.pid(fromActor), tid: fromActor });
      this.events.push({ ...arrow, ph: 'f', bp: 'e', ts: ends, pid: this.pid(toActor), tid: toActor });
    });
  }

  /** Pending ports of each domain, whenever their number changes. */
  private counters(): void {
    const { trace, domains, time } = this;
    const before = domains.map(({ pending, ports }) =>
      Array.from({ length: ports / 32 }, (_, word) => bits(this.history.wordAt(pending + word * 4, -1))).reduce(
        (sum, count) => sum + count,
        0,
      ),
    );
    const put = (domain: number, ts: number, pending: number): void => {
      this.events.push({ name: 'pending ports', ph: 'C', ts, pid: domain + 1, args: { pending } });
    };
    before.forEach((count, domain) => {
      put(domain, time.begin(0), count);
    });
    trace.steps.forEach((step, index) => {
      domains.forEach((domain, number) => {
        const change = pendingChange(step, domain, domains.length > 1);
        if (change === 0) return;
        before[number] = Math.max(0, (before[number] as number) + change);
        put(number, time.end(index), before[number]);
      });
    });
  }

  private failure(): void {
    const { failure } = this.trace;
    if (failure === null) return;
    const actor = failure.actor ?? 0;
    const name = visible(`${failure.kind}: ${failure.message}`);
    this.events.push({
      name,
      cat: 'failure',
      ph: 'i',
      ts: this.time.last,
      s: 'g',
      pid: this.pid(actor),
      tid: actor,
    });
  }
}

/** How many ports more are pending after a step: in the bitmap of the 2-level ABI, or the event array of the FIFO ABI. */
function pendingChange(step: TraceStep, { name: domain, pending, ports }: TraceDomain, several: boolean): number {
  const { address, before, after, name = '' } = step;
  if (address === undefined || before === undefined || after === undefined) return 0;
  if (address >= pending && address < pending + ports / 8) return bits(after) - bits(before);
  const word = /^(.*?\.)?event_array\[\d+\]/.exec(name);
  if (word === null || (word[1] ?? '') !== (several ? `${domain}.` : '')) return 0;
  const bit = isNarrow(step) ? ((address & 3) === 3 ? FIFO.EVTCHN_FIFO_PENDING - 24 : -1) : FIFO.EVTCHN_FIFO_PENDING;
  return bit < 0 ? 0 : ((after >>> bit) & 1) - ((before >>> bit) & 1);
}

/** Bits set in a word. */
function bits(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
