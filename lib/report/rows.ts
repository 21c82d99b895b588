/**
 * A trace as rows of text, before they are laid out: one per step worth a reader's time, and one for each thing that
 * happens between steps. Steps that tell nothing are folded away; numbers stay those of the trace, so that gaps show.
 *
 * Folded: windows in which no upcall could be taken; looks at where vcpu_info lies; the processor's own steps into and out
 * of an upcall (the bracket stands for them); the hypervisor's accounting of time when nobody else touches it; rows that
 * repeat, after the first round.
 */
import type { Trace, TraceMark, TraceStep } from '../explore/trace-format';
import { visible } from './visible-text';

export type RowKind = 'step' | 'hypercall' | 'upcall' | 'log' | 'sleep' | 'wake' | 'preempted' | 'failure' | 'fold';

export interface Row {
  readonly kind: RowKind;
  /** -1 for a fold. */
  readonly actor: number;
  /** Index of the step the row is of, or comes before or after. Never falls from row to row. */
  readonly at: number;
  /** Of the step, from 1. */
  readonly number?: number;
  readonly text: string;
  /** Hypercalls and upcalls the actor is inside of. */
  readonly depth: number;
  /** Of a hypercall or upcall: it ends here. */
  readonly ends?: boolean;
  readonly location?: string;
}

/** What repeats is folded if it does so often, and fills rows enough. */
const LONGEST_PERIOD = 64;
const LEAST_REPEATS = 3;
const LEAST_FOLDED = 6;

/**
 * @param verbose - fold nothing away
 * @param always - indices of steps that have a row of their own, whatever they tell
 */
export function rowsOf(trace: Trace, verbose = false, always: readonly number[] = []): Row[] {
  const rows = new RowWriter(trace, verbose, new Set(always)).write();
  return verbose ? rows : foldRepetition(rows, always);
}

class RowWriter {
  private readonly rows: Row[] = [];
  /** Per actor: brackets it is inside of. */
  private readonly depth: number[];
  /** Per actor: the processor is on its way into or out of an upcall. */
  private readonly looking: boolean[];
  private readonly shared: ReadonlySet<string>;
  private at = 0;

  constructor(
    private readonly trace: Trace,
    private readonly verbose: boolean,
    private readonly always: ReadonlySet<number>,
  ) {
    this.depth = trace.actors.map(() => 0);
    this.looking = trace.actors.map(() => false);
    this.shared = sharedNames(trace);
  }

  write(): Row[] {
    const { trace } = this;
    trace.steps.forEach((step, index) => {
      this.at = index;
      if (step.preempted !== undefined) this.add('preempted', step.preempted, 'preempted');
      for (const mark of step.marks) this.mark(step.actor, mark);
      if (this.tells(step) || this.always.has(index)) {
        const { actor, location } = step;
        const depth = this.depth[actor] as number;
        const text = describeStep(step, trace.memoryModel);
        this.rows.push({
          kind: 'step',
          actor,
          at: index,
          number: index + 1,
          text,
          depth,
          ...(location && { location }),
        });
      }
      for (const { actor, kind, text } of step.turns ?? []) this.add(kind, actor, visible(text));
    });
    trace.actors.forEach((_, actor) => {
      for (const mark of trace.lastMarks[actor] ?? []) this.mark(actor, mark);
    });
    const { failure } = trace;
    if (failure?.actor !== undefined && failure.kind !== 'deadlock') {
      this.add('failure', failure.actor, failure.kind, failure.location);
    }
    return this.rows;
  }

  private add(kind: RowKind, actor: number, text: string, location?: string): void {
    const depth = kind === 'log' ? (this.depth[actor] as number) : 0;
    this.rows.push({ kind, actor, at: this.at, text, depth, ...(location && { location }) });
  }

  private mark(actor: number, { kind, text }: TraceMark): void {
    const ends = kind === 'hypercall-end' || kind === 'upcall-end';
    if (ends) this.depth[actor] = Math.max(0, (this.depth[actor] as number) - 1);
    if (kind === 'log') {
      for (const line of text.trimEnd().split('\n')) this.add('log', actor, visible(line));
      return;
    }
    const upcall = kind.startsWith('upcall');
    const depth = this.depth[actor] as number;
    this.rows.push({ kind: upcall ? 'upcall' : 'hypercall', actor, at: this.at, text, depth, ...(ends && { ends }) });
    if (!ends) this.depth[actor] = (this.depth[actor] as number) + 1;
    if (upcall) this.looking[actor] = ends;
  }

  private tells({ actor, op, result, name }: TraceStep): boolean {
    if (this.verbose) return true;
    if (op === 'window') {
      this.looking[actor] = result === 1;
      return false;
    }
    // Threads do not record the processor's looks.
    if (this.looking[actor] && this.trace.recorded === undefined) return false;
    if (name === undefined) return true;
    if ((op === 'read32' || op === 'load32') && name.endsWith('].vcpu_info')) return false;
    if (this.depth[actor] === 0) return true;
    return !(op === 'now' || (ACCOUNTING.test(name) && !this.shared.has(name)));
  }
}

/** What the hypervisor does to account for time when a vCPU sleeps or wakes. */
const ACCOUNTING = /(^|\.)vcpu\[\d+\]\.(runstate|timers_armed)/;

/** Names that more than one actor touches. */
function sharedNames({ steps }: Trace): Set<string> {
  const first = new Map<string, number>();
  const shared = new Set<string>();
  for (const { name, actor } of steps) {
    if (name === undefined) continue;
    if (!first.has(name)) first.set(name, actor);
    else if (first.get(name) !== actor) shared.add(name);
  }
  return shared;
}

/** `or32 shared_info.evtchn_pending[0] port 5 0→1`. */
function describeStep(step: TraceStep, memoryModel: string): string {
  const { op, name } = step;
  return `${op}${name === undefined ? '' : ` ${visible(name)}`}${effectOf(step, memoryModel)}`;
}

/** What a step comes to: ` 0→1`, ` = 5`, `: 1 already`. */
export function effectOf(step: TraceStep, memoryModel: string): string {
  const { op, name, operand, before, after, result, count } = step;
  const number = name?.includes('.') === true ? hexadecimal : String;
  const changes = before !== undefined && after !== undefined;
  const bit = onlyBit(op, operand);
  if (op.endsWith('lock') && op !== 'read_trylock') return '';
  if (changes && bit >= 0) return ` ${(before >>> bit) & 1}→${(after >>> bit) & 1}`;
  if (changes) return ` ${number(before)}→${number(after)}`;
  if (after !== undefined) return ` ?→${number(after)}`;
  if (bit >= 0) return `: ${(result >>> bit) & 1} already`;
  switch (op) {
    case 'choose':
      return ` ${result} of ${operand}`;
    case 'window':
      return result === 1 ? ': upcall' : ': none';
    case 'write8':
    case 'write32':
      return ` ${number(operand)}${memoryModel === 'tso' ? ', buffered' : ' again'}`;
    case 'store8':
    case 'store32':
      return ` ${number(operand)} again`;
    case 'relax':
      return count === undefined ? '' : `, ${count} times`;
    case 'fence':
    case 'tick':
    case 'sleep':
    case 'flush8':
    case 'flush32':
    case 'timer_set':
    case 'await_clear':
      return '';
    default:
      return ` = ${number(result)}`;
  }
}

/** Number of the one bit that a bit operation sets or clears, else -1. */
export function onlyBit(op: string, operand: number): number {
  const bits = op === 'and8' ? ~operand & 0xff : op === 'and32' ? ~operand : /^or(8|32)$/.test(op) ? operand : 0;
  return bits !== 0 && (bits & (bits - 1)) === 0 ? 31 - Math.clz32(bits) : -1;
}

/** Fields of structures hold bits more often than numbers. */
function hexadecimal(value: number): string {
  return value >= -9 && value <= 9 ? String(value) : `0x${(value >>> 0).toString(16)}`;
}

/** Leaves of rows that repeat again and again the first round. */
function foldRepetition(rows: readonly Row[], always: readonly number[]): Row[] {
  const keys = rows.map(({ kind, actor, at, depth, ends, text, location }) => {
    const own = always.includes(at) ? at : '';
    return `${kind} ${actor} ${depth} ${ends} ${text} ${location} ${own}`;
  });
  const folded: Row[] = [];
  for (let at = 0; at < rows.length; ) {
    const { period, repeats } = repetitionAt(keys, at);
    folded.push(...rows.slice(at, at + period));
    if (repeats > 0) {
      const text = `… the last ${period === 1 ? 'row' : `${period} rows`} again, ${repeats} times …`;
      folded.push({ kind: 'fold', actor: -1, at: (rows[at + period] as Row).at, text, depth: 0 });
    }
    at += period * (repeats + 1);
  }
  return folded;
}

/** The shortest stretch from `at` on that is followed by itself often enough: else one row, repeated 0 times. */
function repetitionAt(keys: readonly string[], at: number): { period: number; repeats: number } {
  for (let period = 1; period <= LONGEST_PERIOD; period++) {
    let same = 0;
    while (at + period + same < keys.length && keys[at + same] === keys[at + period + same]) same++;
    const repeats = Math.floor(same / period);
    if (repeats >= LEAST_REPEATS && repeats * period >= LEAST_FOLDED) return { period, repeats };
  }
  return { period: 1, repeats: 0 };
}
