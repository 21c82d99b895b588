/**
 * A trace as text: a column per actor, a row per step, what happens between steps on rows of its own. Steps that tell
 * nothing are left out, their numbers too: windows in which no upcall could be taken, and looks at where vcpu_info lies.
 */
import type { Trace, TraceMark, TraceStep } from '../explore/trace';

/** Narrower columns cut names short. */
const WIDEST_COLUMN = 64;
const SEPARATOR = ' │ ';
/** Of longer traces the beginning and the end are shown. */
const MOST_ROWS = 400;

/** @param trace - of actors, those that did something get a column */
export function chart(trace: Trace): string {
  const columns = trace.actors
    .map((name, actor) => ({ name, actor }))
    .filter(({ actor }) => trace.steps.some((step) => step.actor === actor) || trace.lastMarks[actor] !== undefined);
  const rows: { readonly actor: number; readonly number: string; readonly text: string }[] = [];
  trace.steps.forEach((step, index) => {
    for (const mark of step.marks) rows.push({ actor: step.actor, number: '', text: describeMark(mark) });
    if (tells(step)) rows.push({ actor: step.actor, number: String(index + 1), text: describeStep(step) });
  });
  for (const { actor } of columns) {
    for (const mark of trace.lastMarks[actor] ?? []) rows.push({ actor, number: '', text: describeMark(mark) });
  }
  const widths = columns.map(({ name, actor }) =>
    Math.min(
      WIDEST_COLUMN,
      Math.max(name.length, ...rows.filter((row) => row.actor === actor).map(({ text }) => text.length)),
    ),
  );
  const margin = String(trace.steps.length).length;
  const line = (number: string, cells: readonly string[]): string =>
    `${number.padStart(margin)}  ${cells.map((cell, i) => cell.padEnd(widths[i] as number)).join(SEPARATOR)}`.trimEnd();
  const heading = line(
    '',
    columns.map(({ name }) => name),
  );
  const rule = `${' '.repeat(margin)}  ${widths.map((width) => '─'.repeat(width)).join('─┼─')}`;
  const body = rows.map((row) =>
    line(
      row.number,
      columns.map(({ actor }, i) => (actor === row.actor ? cut(row.text, widths[i] as number) : '')),
    ),
  );
  if (body.length > MOST_ROWS) {
    const left = body.length - MOST_ROWS;
    body.splice(MOST_ROWS / 2, left, `${' '.repeat(margin)}  … ${left} rows …`);
  }
  return [heading, rule, ...body].join('\n');
}

function tells({ op, result, name }: TraceStep): boolean {
  if (op === 'window') return result === 1;
  return !((op === 'read32' || op === 'load32') && name?.endsWith('].vcpu_info'));
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

function describeMark({ kind, text }: TraceMark): string {
  switch (kind) {
    case 'hypercall':
      return `┌ ${text}`;
    case 'hypercall-end':
      return `└ ${text}`;
    case 'upcall':
      return '╔ upcall';
    case 'upcall-end':
      return '╚ upcall';
    default:
      return `» ${text}`;
  }
}

/** `or32 shared_info.evtchn_pending[0] port 5: 0x0→0x20`. */
function describeStep({ op, name, operand, before, after, result, location }: TraceStep): string {
  const where = location === undefined ? '' : `  ${location}`;
  return `${op}${name === undefined ? '' : ` ${name}`}${effect()}${where}`;

  function effect(): string {
    if (before !== undefined && after !== undefined) return `: ${number(before)}→${number(after)}`;
    switch (op) {
      case 'choose':
        return ` ${result} of ${operand}`;
      case 'window':
        return result === 1 ? ': upcall' : ': none';
      case 'write8':
      case 'write32':
      case 'store8':
      case 'store32':
        return `: ${number(operand)}`;
      case 'read_lock':
      case 'write_lock':
      case 'read_unlock':
      case 'write_unlock':
      case 'relax':
      case 'fence':
      case 'tick':
        return '';
      default:
        return ` = ${number(result)}`;
    }
  }
}

function number(value: number): string {
  return value >= -9 && value <= 9 ? String(value) : `0x${(value >>> 0).toString(16)}`;
}
