/**
 * A trace as text for people: a column per actor, a row per step, as wide as the reader's screen.
 *
 * Where there is room columns stand side by side. Where there is less they overlap: each row belongs to one actor, so
 * its text may go on into columns to its right, which are empty there. Names are shortened and locations left out before
 * that fails as well; then the chart is a list that names the actor in each row.
 */
import type { Trace } from '../explore/trace-format';
import { type Row, type RowKind, rowsOf } from './rows';

/** Colours and the like, as node's styleText names them. */
export type Style = 'dim' | 'bold' | 'red' | 'green' | 'yellow' | 'cyan' | 'magenta';

/** Styles text, or leaves it alone. */
export type Paint = (style: Style, text: string) => string;

export interface ChartOptions {
  /** Characters of a line; default {@link DEFAULT_WIDTH}. */
  readonly width?: number;
  /** Default: no colours. */
  readonly paint?: Paint;
  /** Every step, none folded away. */
  readonly verbose?: boolean;
}

/** Where nobody knows how wide a line may be: logs, files. */
export const DEFAULT_WIDTH = 120;
/** Narrower screens get a list when there are more than two actors. */
const LEAST_WIDTH_FOR_MANY = 100;
const LEAST_COLUMN = 10;
const GAP = 3;
const INDENT = '  ';
/** Of more rows the beginning and the end are shown. */
const MOST_ROWS = 400;

const STYLES: Readonly<Partial<Record<RowKind, Style>>> = {
  hypercall: 'cyan',
  upcall: 'magenta',
  log: 'green',
  sleep: 'yellow',
  wake: 'yellow',
  preempted: 'yellow',
  failure: 'red',
  fold: 'dim',
};

/** How rows are put on lines. */
interface Layout {
  /** Actors that have a column, and where it begins; null: a list. */
  readonly offsets: ReadonlyMap<number, number> | null;
  readonly locations: boolean;
  readonly shortNames: boolean;
}

/** The chart, without a line break at its end. */
export function chart(trace: Trace, options: ChartOptions = {}): string {
  const { width = DEFAULT_WIDTH, paint = (_style, text) => text, verbose = false } = options;
  const all = rowsOf(trace, verbose).map((row) => ({ ...row, text: decorated(row) }));
  const rows = verbose ? all : middleLeftOut(all);
  return new ChartWriter(trace, rows, width, paint).write().join('\n');
}

function middleLeftOut(rows: readonly Row[]): readonly Row[] {
  const left = rows.length - MOST_ROWS;
  if (left <= 0) return rows;
  const { at } = rows[MOST_ROWS / 2] as Row;
  const fold: Row = { kind: 'fold', actor: -1, at, text: `… ${left} rows …`, depth: 0 };
  return [...rows.slice(0, MOST_ROWS / 2), fold, ...rows.slice(-MOST_ROWS / 2)];
}

/** A row's text with the signs that say what it is. */
function decorated({ kind, text, depth, ends }: Row): string {
  const indent = INDENT.repeat(depth);
  switch (kind) {
    case 'hypercall':
      return `${indent}${ends ? '└' : '┌'} ${text}`;
    case 'upcall':
      return `${indent}${ends ? '╚' : '╔'} ${text}`;
    case 'log':
      return `${indent}» ${text}`;
    case 'preempted':
      return `╌╌ ${text} ╌╌`;
    case 'sleep':
      return `zz ${text}`;
    case 'wake':
      return `!! ${text}`;
    case 'failure':
      return `✗ ${text}`;
    default:
      return indent + text;
  }
}

class ChartWriter {
  private readonly actors: readonly number[];
  private readonly numberWidth: number;
  /** The only file that locations are in, if it is one. */
  private readonly file: string | undefined;
  private readonly locationWidth: number;
  private readonly layout: Layout;

  constructor(
    private readonly trace: Trace,
    private readonly rows: readonly Row[],
    private readonly width: number,
    private readonly paint: Paint,
  ) {
    this.actors = trace.actors.map((_, actor) => actor).filter((actor) => rows.some((row) => row.actor === actor));
    this.numberWidth = String(trace.steps.length).length;
    const places = rows.flatMap(({ location }) => location ?? []);
    const files = new Set(places.map((place) => place.slice(0, place.lastIndexOf(':'))));
    this.file = files.size === 1 ? [...files][0] : undefined;
    this.locationWidth = Math.max(0, ...places.map((place) => this.place(place).length));
    this.layout = this.chooseLayout();
  }

  write(): string[] {
    const { offsets, locations } = this.layout;
    const lines: string[] = [];
    if (locations && this.file !== undefined) {
      lines.push(this.paint('dim', cut(`locations are in ${this.file}`, this.width)), '');
    }
    if (offsets === null) return [...lines, ...this.rows.map((row) => this.listLine(row))];
    const headings = this.actors.map((actor) => this.name(actor).padEnd(this.columnWidth(actor)));
    const separator = ' '.repeat(GAP);
    lines.push(`${' '.repeat(this.margin())}${this.paint('bold', headings.join(separator).trimEnd())}`);
    return [...lines, ...this.rows.map((row) => this.columnLine(row))];
  }

  private chooseLayout(): Layout {
    const crowded = this.actors.length > 2 && this.width < LEAST_WIDTH_FOR_MANY;
    if (!crowded) {
      for (const [locations, shortNames] of [
        [true, false],
        [true, true],
        [false, true],
      ] as const) {
        const offsets = this.columns(locations, shortNames);
        if (offsets !== null) return { offsets, locations: locations && this.locationWidth > 0, shortNames };
      }
    }
    const prefix = this.numberWidth + 2 + Math.max(0, ...this.actors.map((actor) => this.name(actor).length)) + 2;
    const longest = Math.max(0, ...this.rows.map((row) => shorten(row.text).length));
    const locations = this.locationWidth > 0 && prefix + this.locationWidth + 2 + longest <= this.width;
    return { offsets: null, locations, shortNames: true };
  }

  /** Where each column begins, margin not counted; null if there is no room. */
  private columns(locations: boolean, shortNames: boolean): Map<number, number> | null {
    const room = this.width - this.margin(locations);
    const longest = this.actors.map((actor) => this.longest(actor, shortNames));
    const sideBySide = longest.reduce((sum, length) => sum + length + GAP, -GAP);
    const offsets = new Map<number, number>();
    if (sideBySide <= room) {
      let offset = 0;
      this.actors.forEach((actor, index) => {
        offsets.set(actor, offset);
        offset += (longest[index] as number) + GAP;
      });
      return offsets;
    }
    const names = this.actors.map((actor) => this.name(actor).length);
    const least = Math.max(LEAST_COLUMN, ...names) + GAP;
    // The widest distance between columns that leaves each row room.
    const distance = Math.min(
      ...longest.map((length, index) =>
        index === 0 ? Math.max(least, length + GAP) : Math.floor((room - length) / index),
      ),
    );
    if (distance < least || (longest[0] as number) > room) return null;
    this.actors.forEach((actor, index) => {
      offsets.set(actor, index * distance);
    });
    return offsets;
  }

  private longest(actor: number, shortNames: boolean): number {
    const texts = this.rows.filter((row) => row.actor === actor).map(({ text }) => (shortNames ? shorten(text) : text));
    return Math.max(this.name(actor).length, ...texts.map((text) => text.length));
  }

  private columnWidth(actor: number): number {
    const { offsets } = this.layout;
    const starts = [...(offsets as ReadonlyMap<number, number>).values()];
    const own = offsets?.get(actor) as number;
    const next = starts.find((start) => start > own);
    return next === undefined ? 0 : next - own - GAP;
  }

  private margin(locations = this.layout.locations): number {
    return this.numberWidth + 2 + (locations && this.locationWidth > 0 ? this.locationWidth + 2 : 0);
  }

  private columnLine(row: Row): string {
    const offsets = this.layout.offsets as ReadonlyMap<number, number>;
    const own = offsets.get(row.actor) ?? 0;
    const text = this.text(row);
    let before = '';
    let after = '';
    for (const offset of offsets.values()) {
      if (offset === 0) continue;
      const bar = offset - 2;
      if (offset <= own) before = `${before.padEnd(bar)}│`;
      else if (bar > own + text.length) after = `${after.padEnd(bar - own - text.length)}│`;
    }
    const line = this.paint('dim', before.padEnd(own)) + this.painted(row, text) + this.paint('dim', after);
    return (this.head(row) + line).trimEnd();
  }

  private listLine(row: Row): string {
    const longest = Math.max(0, ...this.actors.map((actor) => this.name(actor).length));
    // On a very narrow screen names get half of it.
    const nameWidth = Math.min(longest, Math.max(1, (this.width - this.margin()) >> 1));
    const name = row.actor < 0 ? '' : cut(this.name(row.actor), nameWidth);
    const room = this.width - this.margin() - nameWidth - 2;
    const text = cut(this.text(row), Math.max(1, room));
    return `${this.head(row)}${this.paint('bold', name.padEnd(nameWidth))}  ${this.painted(row, text)}`.trimEnd();
  }

  /** Number and location. */
  private head({ number, location }: Row): string {
    const count = `${String(number ?? '').padStart(this.numberWidth)}  `;
    if (!this.layout.locations) return this.paint('dim', count);
    return this.paint(
      'dim',
      `${count}${(location === undefined ? '' : this.place(location)).padEnd(this.locationWidth)}  `,
    );
  }

  private text({ text }: Row): string {
    return this.layout.shortNames ? shorten(text) : text;
  }

  private painted({ kind }: Row, text: string): string {
    const style = STYLES[kind];
    return style === undefined ? text : this.paint(style, text);
  }

  private name(actor: number): string {
    return this.trace.actors[actor] ?? '';
  }

  private place(location: string): string {
    return this.file === undefined ? location : location.slice(this.file.length);
  }
}

/** A text of at most so many characters. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, Math.max(0, most - 1))}…`;
}

function shorten(text: string): string {
  return text.replace('shared_info.', '');
}
