/** The tables of `upcall ps` and `upcall top` as lines that fit. */
import type { Column } from '../report/listing/machine';
import { alignColumns } from './table';

/**
 * The heading, then a line for each row. Columns that can be spared go, one after the other, until the heading's line fits.
 * @param width - of the terminal
 */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): string[] {
  const spared = columns
    .filter(({ dispensable }) => dispensable !== undefined)
    .sort((a, b) => (a.dispensable as number) - (b.dispensable as number));
  for (let gone = 0; ; gone++) {
    const left = columns.filter((column) => !spared.slice(0, gone).includes(column));
    const lines = align(left, rows);
    if (gone === spared.length || Math.max(...lines.map(({ length }) => length)) <= width) return lines;
  }
}

function align<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const right = new Set(columns.flatMap(({ right: toRight }, index) => (toRight ? [index] : [])));
  const cells = rows.map((row) => columns.map((column) => column.text(row)));
  return alignColumns([columns.map(({ heading }) => heading), ...cells], right);
}
