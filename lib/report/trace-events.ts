/**
 * A trace as trace events: the JSON that ui.perfetto.dev and chrome://tracing open. A process per domain and one for the
 * hardware, a thread per actor, an arrow per event, a counter of pending ports. A step lasts a microsecond.
 *
 * @source Trace Event Format (Google, "Trace Event Format" document), JSON object format
 */
import type { Trace, TraceDomain, TraceStep } from '../explore/trace-format';
import { effectOf } from './rows';
import { type LinkKind, linksOf } from './timeline/links';
import { WordHistory } from './timeline/word-history';
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

  constructor(private readonly trace: Trace) {
    this.history = new WordHistory(trace);
    this.domains = trace.memory?.domains ?? [];
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
    const { steps, lastMarks } = this.trace;
    const open: { name: string; kind: string; from: number }[] = [];
    const end = (at: number): void => {
      const bracket = open.pop();
      if (bracket === undefined || at <= bracket.from) return;
      this.slice(actor, bracket.name, bracket.kind, bracket.from, at);
    };
    let done = 0;
    steps.forEach((step, index) => {
      if (step.actor !== actor) return;
      for (const { kind, text } of step.marks) {
        if (kind === 'hypercall' || kind === 'upcall') open.push({ name: text, kind, from: index });
        else if (kind === 'log') this.instant(actor, visible(text.trimEnd()), 'log', index);
        // It ended with the actor's step before.
        else end(done);
      }
      if (step.preempted !== undefined) this.instant(step.preempted, 'preempted', 'schedule', index);
      done = index + 1;
    });
    for (const { kind, text } of lastMarks[actor] ?? []) {
      if (kind === 'log') this.instant(actor, visible(text.trimEnd()), 'log', done);
      else if (kind.endsWith('-end')) end(done);
    }
    // Those it never left last to the end of the trace.
    while (open.length > 0) end(steps.length);
  }

  private sleeps(actor: number): void {
    const { steps } = this.trace;
    let since = -1;
    let name = '';
    steps.forEach(({ turns = [] }, index) => {
      for (const turn of turns) {
        if (turn.actor !== actor) continue;
        if (turn.kind === 'sleep' && since < 0) {
          since = index + 1;
          name = turn.text;
        } else if (turn.kind === 'wake' && since >= 0) {
          if (index + 1 > since) this.slice(actor, name, 'asleep', since, index + 1);
          since = -1;
        }
      }
    });
    if (since >= 0 && since < steps.length) this.slice(actor, name, 'asleep', since, steps.length);
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
      ts: index,
      dur: 1,
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
    linksOf(this.trace, this.history).forEach(({ kind, from, to, fromActor, toActor }, id) => {
      const arrow = { name: ARROWS[kind], cat: kind, id } as const;
      this.events.push({ ...arrow, ph: 's', ts: from + 0.25, pid: this.pid(fromActor), tid: fromActor });
      this.events.push({ ...arrow, ph: 'f', bp: 'e', ts: to + 0.75, pid: this.pid(toActor), tid: toActor });
    });
  }

  /** Pending ports of each domain, whenever their number changes. */
  private counters(): void {
    this.domains.forEach(({ pending, ports }, index) => {
      const words = Array.from({ length: ports / 32 }, (_, word) => pending + word * 4);
      const count = (step: number): number =>
        words.reduce((sum, address) => sum + bits(this.history.wordAt(address, step)), 0);
      const put = (ts: number, value: number): void => {
        this.events.push({ name: 'pending ports', ph: 'C', ts, pid: index + 1, args: { pending: value } });
      };
      let last = count(-1);
      put(0, last);
      this.trace.steps.forEach(({ address, before }, step) => {
        if (before === undefined || address === undefined || address < pending || address >= pending + ports / 8)
          return;
        const now = count(step);
        if (now !== last) put(step + 1, now);
        last = now;
      });
    });
  }

  private failure(): void {
    const { failure, steps } = this.trace;
    if (failure === null) return;
    const actor = failure.actor ?? 0;
    const name = visible(`${failure.kind}: ${failure.message}`);
    this.events.push({
      name,
      cat: 'failure',
      ph: 'i',
      ts: steps.length,
      s: 'g',
      pid: this.pid(actor),
      tid: actor,
    });
  }
}

/** Bits set in a word. */
function bits(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
