/** Where things of a timeline are: columns, lanes inside them, and the rows that links join. */
import type { Row } from '../rows';
import type { Link } from '../timeline/links';
import { lastUpTo } from '../timeline/word-history';
import { Lane, type TimelineModel, type View } from './timeline-model';

/** Height of a row. */
export const ROW_PX = 22;
const LEAST_COLUMN_PX = 120;
const LEAST_LAST_PX = 190;
const CHARACTER_PX = 7.25;
const PADDING_PX = 16;
/** Of a lane: the bar of the actor itself, and the distance of the bars of what it is inside of. */
const BAR_PX = 5;
const NEST_PX = 7;

export interface Geometry {
  readonly numberPx: number;
  /** 0: no room for places. */
  readonly placePx: number;
  readonly widthPx: number;
  /** Left edge of a column. */
  left(column: number): number;
  columnWidth(column: number): number;
  /** Left edge of a lane's bar; level 0 is the actor itself. */
  bar(column: number, level: number): number;
  readonly barPx: number;
}

export function layOut(model: TimelineModel, view: View, roomPx: number): Geometry {
  const numberPx = String(model.trace.steps.length).length * CHARACTER_PX + PADDING_PX;
  const places = view.rows.reduce((longest, row) => Math.max(longest, place(model, row).length), 0);
  const wanted = places === 0 ? 0 : places * CHARACTER_PX + PADDING_PX;
  const placePx = roomPx < 560 || wanted > roomPx / 4 ? 0 : wanted;
  const gutter = numberPx + placePx;
  const columnPx = distance(model, view, roomPx - gutter);
  const left = (column: number): number => gutter + column * columnPx;
  const lastColumn = Math.max(0, view.columns.length - 1);
  const widthPx = Math.max(roomPx, left(lastColumn) + LEAST_LAST_PX);
  return {
    numberPx,
    placePx,
    widthPx,
    left,
    columnWidth: (column) => (column === lastColumn ? widthPx - left(column) : columnPx),
    bar: (column, level) => left(column) + 4 + level * NEST_PX,
    barPx: BAR_PX,
  };
}

/**
 * How far columns are apart. A row is of one actor, so its text may go on into columns to its right: the distance is the
 * widest that leaves each row room.
 */
function distance(model: TimelineModel, view: View, roomPx: number): number {
  const even = roomPx / Math.max(1, view.columns.length);
  const longest = view.columns.map(() => 0);
  view.rows.forEach(({ actor }, row) => {
    const column = view.columns.indexOf(actor);
    if (column > 0) longest[column] = Math.max(longest[column] as number, textEnd(model, view, row, column));
  });
  const fitting = longest.slice(1).map((width, index) => (roomPx - width - PADDING_PX) / (index + 1));
  return Math.floor(Math.max(LEAST_COLUMN_PX, Math.min(even, ...fitting)));
}

/** A step's time since the first one, in milliseconds, where it has one; else its location, without its file where that is the same for all. */
export function place(model: TimelineModel, { kind, at, location }: Row): string {
  const timeNs = kind === 'step' ? model.timeOf(at) : undefined;
  if (timeNs !== undefined) return (timeNs / 1e6).toFixed(4);
  if (location === undefined) return '';
  return model.file === undefined ? location : location.slice(model.file.length);
}

/** A link whose ends both show. */
export interface JoinedRows {
  readonly link: Link;
  readonly fromRow: number;
  readonly toRow: number;
  readonly fromColumn: number;
  readonly toColumn: number;
  /** From the bars of the columns to the ends of the texts. */
  readonly fromText: number;
  readonly toText: number;
}

/** The links of a model, as rows of a view. */
export function joinRows(model: TimelineModel, view: View): JoinedRows[] {
  const { rows, columns, stops, stopSteps } = view;
  /** Rows of upcalls beginning and of actors waking, by step and actor. */
  const marks = new Map<string, number>();
  rows.forEach(({ kind, at, actor }, row) => {
    if (kind === 'upcall' || kind === 'wake') marks.set(`${kind} ${at} ${actor}`, row);
  });
  const rowOf = (step: number): number => stops[lastUpTo(stopSteps, step)] ?? -1;
  return model.links.flatMap((link) => {
    const fromColumn = columns.indexOf(link.fromActor);
    const toColumn = columns.indexOf(link.toActor);
    const fromRow = rowOf(link.from);
    const toRow = marks.get(`${link.kind} ${link.to} ${link.toActor}`) ?? rowOf(link.to);
    if (fromColumn < 0 || toColumn < 0 || fromRow < 0 || toRow < 0 || fromRow === toRow) return [];
    const fromText = textEnd(model, view, fromRow, fromColumn);
    const toText = textEnd(model, view, toRow, toColumn);
    return { link, fromRow, toRow, fromColumn, toColumn, fromText, toText };
  });
}

/** Hypercalls and upcalls that a row's actor is inside of. */
export function depthOf(model: TimelineModel, { lanes, columns }: View, row: number, column: number): number {
  const lane = lanes[row * columns.length + column] as number;
  return model.stacks[lane >>> Lane.STACK_SHIFT]?.length ?? 0;
}

/** From the bar of an actor to the text of one of its rows. */
export function textOffset(depth: number): number {
  return depth * NEST_PX + 13;
}

/** From the bar of an actor to where the text of one of its rows ends. */
function textEnd(model: TimelineModel, view: View, row: number, column: number): number {
  const { text = '', kind } = view.rows[row] ?? {};
  const sign = kind === 'wake' ? 3 : 1;
  return textOffset(depthOf(model, view, row, column)) + (shortName(text).length + sign) * CHARACTER_PX;
}

/** A name without the structure that every second one begins with. */
export function shortName(name: string): string {
  return name.replace('shared_info.', '');
}
