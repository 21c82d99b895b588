/**
 * One execution as the page shows it: everything about its trace that is worked out once, and views of it, which are the
 * rows to show with the bars beside them.
 */
import type { ActorKind, Trace, TraceStep } from '../../explore/trace-format';
import type { PageExecution } from '../page-data';
import { type Row, rowsOf } from '../rows';
import { type Link, linksOf } from '../timeline/links';
import { concernsPort, placeOf, portsIn } from '../timeline/ports';
import { isNarrow, lastUpTo, WordHistory } from '../timeline/word-history';

/** What is left out of a view. */
export interface Filter {
  /** Every step, nothing folded away. */
  readonly everyStep: boolean;
  /** Actors without a column. */
  readonly hidden: ReadonlySet<number>;
  /** `3`, `front.3`, or nothing for any. */
  readonly port: string;
  /** Part of the name of what a step touches. */
  readonly word: string;
}

export const NO_FILTER: Filter = { everyStep: false, hidden: new Set(), port: '', word: '' };

/** Bits of a lane; above them is the number of the stack of hypercalls and upcalls. */
export const Lane = { RUNNING: 1, ASLEEP: 2, ALIVE: 4, STACK_SHIFT: 3 } as const;

/** A hypercall or an upcall an actor is inside of, the outermost first. */
export type Bracket = 'hypercall' | 'upcall';

/** The rows to show. */
export interface View {
  readonly rows: readonly Row[];
  /** Actors that have a column. */
  readonly columns: readonly number[];
  /** Per row and column, see {@link Lane}. */
  readonly lanes: Uint16Array;
  /** Rows that can be the current one, and the steps they stand for. */
  readonly stops: readonly number[];
  readonly stopSteps: readonly number[];
}

export class TimelineModel {
  readonly trace: Trace;
  readonly history: WordHistory;
  readonly links: readonly Link[];
  /** Choices for the filters. */
  readonly ports: readonly string[];
  readonly words: readonly string[];
  /** Stacks of brackets by number; 0 is the empty one. */
  readonly stacks: (readonly Bracket[])[] = [[]];
  /** The file all locations are in, if it is one. */
  readonly file: string | undefined;
  private readonly stackIds = new Map<string, number>([['', 0]]);
  /** By actor: the steps at which it falls asleep and is woken, in turn. */
  private readonly turns: readonly number[][];
  private readonly lastStepOf: readonly number[];
  /** Of a recorded run: nothing is known of an actor before its first step if what came before it was not kept. */
  private readonly knownFrom: readonly number[];
  /** Stores that went through a buffer: when they were made, and when they reached memory. */
  private readonly stores: readonly { readonly made: number; readonly left: number }[];

  constructor(readonly execution: PageExecution) {
    const { trace } = execution;
    this.trace = trace;
    this.history = new WordHistory(trace);
    this.links = linksOf(trace, this.history);
    this.ports = portsIn(trace);
    const names = new Set(trace.steps.map(({ name }) => name));
    this.words = [...new Set([...names].map((name) => placeOf(name ?? '')))].filter((name) => name !== '').sort();
    const files = new Set(trace.steps.flatMap(({ location }) => location?.slice(0, location.lastIndexOf(':')) ?? []));
    this.file = files.size === 1 ? [...files][0] : undefined;
    this.turns = turnsOf(trace);
    this.stores = storesOf(trace);
    this.knownFrom = trace.actors.map((_, actor) =>
      (trace.recorded?.missing[actor] ?? 0) > 0 ? trace.steps.findIndex((step) => step.actor === actor) : 0,
    );
    this.lastStepOf = trace.actors.map((_, actor) => trace.steps.findLastIndex((step) => step.actor === actor));
  }

  get lastStep(): number {
    return this.trace.steps.length - 1;
  }

  /** Where the failure shows. */
  get failureStep(): number {
    return this.trace.failure?.race?.[1] ?? this.lastStep;
  }

  step(index: number): TraceStep | undefined {
    return this.trace.steps[index];
  }

  /** Of a recorded run: when a step was made, in nanoseconds since the first one. */
  timeOf(index: number): number | undefined {
    const timeNs = this.step(index)?.timeNs;
    return timeNs === undefined ? undefined : timeNs - (this.trace.steps[0]?.timeNs ?? 0);
  }

  actorName(actor: number): string {
    return this.trace.actors[actor] ?? '';
  }

  kindOf(actor: number): ActorKind {
    return this.trace.actorKinds?.[actor] ?? 'vcpu';
  }

  isAsleep(actor: number, step: number): boolean {
    return (lastUpTo(this.turns[actor] ?? [], step) & 1) === 0;
  }

  /** Whether an actor has more to do after a step, or is kept from it for good. */
  isAlive(actor: number, step: number): boolean {
    if (step < (this.knownFrom[actor] ?? 0)) return false;
    return step <= (this.lastStepOf[actor] ?? -1) || this.trace.waits.some((wait) => wait.actor === actor);
  }

  /** The stores that wait in a program's store buffer after a step: the steps that made them, the oldest first. */
  buffered(program: number, step: number): number[] {
    return this.stores
      .filter(({ made, left }) => made <= step && left > step && this.step(made)?.actor === program)
      .map(({ made }) => made);
  }

  /** The access before or after a step to the same bytes, or -1. */
  sameWord(step: number, direction: 1 | -1): number {
    const own = this.step(step);
    if (own?.address === undefined) return -1;
    const { steps } = this.trace;
    for (let at = step + direction; at >= 0 && at < steps.length; at += direction) {
      const other = steps[at] as TraceStep;
      if (other.op !== 'window' && overlap(own, other)) return at;
    }
    return -1;
  }

  /** @param difference - a step that is shown in any case */
  view(filter: Filter, difference?: number): View {
    const always = [...(this.trace.failure?.race ?? []), ...(difference === undefined ? [] : [difference])];
    const all = rowsOf(this.trace, filter.everyStep, always);
    const seen = new Set(all.map(({ actor }) => actor));
    const columns = this.trace.actors
      .map((_, actor) => actor)
      .filter((actor) => seen.has(actor) && !filter.hidden.has(actor));
    const narrowed = filter.port !== '' || filter.word !== '';
    const rows: Row[] = [];
    const lanes = new Uint16Array(all.length * columns.length);
    const stops: number[] = [];
    const stopSteps: number[] = [];
    const stacks = new LaneTracker(this, columns);
    for (const row of all) {
      stacks.enter(row);
      const kept = row.ends !== true && !filter.hidden.has(row.actor) && (!narrowed || this.matches(row, filter));
      if (kept) {
        stacks.write(lanes, rows.length * columns.length, row);
        if (row.kind === 'step' || row.kind === 'fold') {
          stops.push(rows.length);
          stopSteps.push(row.at);
        }
        rows.push(row);
      }
      stacks.leave(row);
    }
    return { rows, columns, lanes: lanes.subarray(0, rows.length * columns.length), stops, stopSteps };
  }

  /** Number of a stack of brackets. */
  stackId(stack: readonly Bracket[]): number {
    const key = stack.join();
    let id = this.stackIds.get(key);
    if (id === undefined) {
      id = this.stacks.length;
      this.stacks.push([...stack]);
      this.stackIds.set(key, id);
    }
    return id;
  }

  private matches(row: Row, { port, word }: Filter): boolean {
    if (row.kind === 'failure') return true;
    if (row.kind !== 'step') return false;
    const step = this.step(row.at) as TraceStep;
    return (port === '' || concernsPort(step, port)) && (word === '' || (step.name ?? '').includes(word));
  }
}

/** What each column's lane shows while rows go by. */
class LaneTracker {
  private readonly stacks: Bracket[][];
  private readonly ids: number[];

  constructor(
    private readonly model: TimelineModel,
    private readonly columns: readonly number[],
  ) {
    this.stacks = model.trace.actors.map(() => []);
    this.ids = model.trace.actors.map(() => 0);
  }

  enter({ kind, actor, ends }: Row): void {
    if (ends === true || (kind !== 'hypercall' && kind !== 'upcall')) return;
    this.stacks[actor]?.push(kind);
    this.renumber(actor);
  }

  leave({ actor, ends }: Row): void {
    if (ends !== true) return;
    this.stacks[actor]?.pop();
    this.renumber(actor);
  }

  write(lanes: Uint16Array, from: number, { at, kind }: Row): void {
    const running = this.model.step(at)?.actor;
    // Threads run at once.
    const atOnce = this.model.trace.recorded !== undefined;
    // What is told before a step happens in the state before it.
    const settled = kind === 'step' || kind === 'sleep' || kind === 'wake' || kind === 'failure' ? at : at - 1;
    this.columns.forEach((actor, column) => {
      let lane = (this.ids[actor] as number) << Lane.STACK_SHIFT;
      const alive = this.model.isAlive(actor, at);
      if (actor === running || (atOnce && alive && this.model.kindOf(actor) === 'vcpu')) lane |= Lane.RUNNING;
      if (this.model.isAsleep(actor, settled)) lane |= Lane.ASLEEP;
      // Hardware between its steps could do nothing else.
      if (alive && !(atOnce && this.model.kindOf(actor) !== 'vcpu')) lane |= Lane.ALIVE;
      lanes[from + column] = lane;
    });
  }

  private renumber(actor: number): void {
    this.ids[actor] = this.model.stackId(this.stacks[actor] ?? []);
  }
}

/** Whether two steps touch a byte in common. */
function overlap(a: TraceStep, b: TraceStep): boolean {
  if (a.address === undefined || b.address === undefined) return false;
  const both = isNarrow(a) && isNarrow(b);
  return both ? a.address === b.address : a.address >> 2 === b.address >> 2;
}

function turnsOf({ actors, steps, recorded }: Trace): number[][] {
  const turns: number[][] = actors.map(() => []);
  steps.forEach((step, index) => {
    for (const { actor, kind } of step.turns ?? []) {
      const list = turns[actor] as number[];
      // A record may begin while it sleeps.
      if (list.length === 0 && kind === 'wake' && recorded !== undefined) list.push(-1);
      // Sleeping and waking alternate; what is told twice counts once.
      if ((list.length % 2 === 0) === (kind === 'sleep')) list.push(index);
    }
  });
  return turns;
}

/** Index of the first step in which two executions differ; the length of the shorter one if they do not. */
export function firstDifference(a: Trace, b: Trace): number {
  const shorter = Math.min(a.steps.length, b.steps.length);
  for (let at = 0; at < shorter; at++) {
    const [x, y] = [a.steps[at] as TraceStep, b.steps[at] as TraceStep];
    if (x.actor !== y.actor || x.op !== y.op || x.name !== y.name || x.result !== y.result) return at;
  }
  return shorter;
}

function storesOf({ memoryModel, steps }: Trace): { made: number; left: number }[] {
  if (memoryModel !== 'tso') return [];
  const flushed = new Map(
    steps.flatMap(({ stored }, index) => (stored === undefined ? [] : [[stored, index] as const])),
  );
  return steps.flatMap(({ op, after }, made) =>
    /^write(8|32)$/.test(op) && after === undefined ? [{ made, left: flushed.get(made) ?? steps.length }] : [],
  );
}
