/** The bars beside the rows: who runs, sleeps, is in a hypercall or an upcall; and the arrows from cause to effect. */
import './lanes.css';
import { type Geometry, type JoinedRows, ROW_PX } from './geometry';
import { Lane, type TimelineModel, type View } from './timeline-model';

interface LanesProps {
  readonly model: TimelineModel;
  readonly view: View;
  readonly geometry: Geometry;
  /** Rows to draw: from the first to before the last. */
  readonly first: number;
  readonly last: number;
}

/** A stretch of rows in which one bar looks the same. */
interface Bar {
  readonly key: string;
  readonly look: string;
  readonly level: number;
  readonly from: number;
  readonly to: number;
}

export function Lanes({ model, view, geometry, first, last }: LanesProps) {
  const { columns, lanes } = view;
  return (
    <g>
      {columns.map((actor, column) => (
        <g key={actor} class={`actor-${column % 8}`}>
          <line
            class="edge"
            x1={geometry.left(column) + 0.5}
            x2={geometry.left(column) + 0.5}
            y1={first * ROW_PX}
            y2={last * ROW_PX}
          />
          {barsOf(model, (row) => lanes[row * columns.length + column] as number, first, last).map(
            ({ key, look, level, from, to }) => (
              <rect
                key={key}
                class={`bar ${look}`}
                x={geometry.bar(column, level)}
                width={geometry.barPx}
                y={from * ROW_PX + 1}
                height={(to - from) * ROW_PX - 2}
                rx={2}
              />
            ),
          )}
        </g>
      ))}
    </g>
  );
}

/** The bars of one lane. */
function barsOf(model: TimelineModel, lane: (row: number) => number, first: number, last: number): Bar[] {
  const bars: Bar[] = [];
  /** Per level: what goes on, and since which row. */
  const open: { look: string; from: number }[] = [];
  const close = (level: number, row: number): void => {
    const bar = open[level];
    if (bar !== undefined && bar.look !== '') {
      bars.push({ key: `${level}.${bar.from}`, look: bar.look, level, from: bar.from, to: row });
    }
  };
  for (let row = first; row < last; row++) {
    const looks = looksOf(model, lane(row));
    for (let level = 0; level < Math.max(open.length, looks.length); level++) {
      const look = looks[level] ?? '';
      if (open[level]?.look === look) continue;
      close(level, row);
      open[level] = { look, from: row };
    }
  }
  open.forEach((_, level) => {
    close(level, last);
  });
  return bars;
}

/** How each level of a lane looks: first the actor itself, then what it is inside of. */
function looksOf(model: TimelineModel, lane: number): string[] {
  const stack = model.stacks[lane >>> Lane.STACK_SHIFT] ?? [];
  if ((lane & Lane.ASLEEP) !== 0) return ['asleep', ...stack];
  if ((lane & Lane.RUNNING) !== 0) return ['running', ...stack];
  return [(lane & Lane.ALIVE) !== 0 ? 'ready' : '', ...stack];
}

interface ArrowsProps {
  readonly joined: readonly JoinedRows[];
  readonly geometry: Geometry;
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

/** Arrows of which some part shows. */
export function Arrows({ joined, geometry, first, last, step }: ArrowsProps) {
  const shown = joined.filter(
    ({ fromRow, toRow }) => Math.max(fromRow, toRow) >= first && Math.min(fromRow, toRow) < last,
  );
  return (
    <g>
      {shown.map((join) => {
        const { link, fromRow, toRow } = join;
        const current = link.from === step || link.to === step;
        return (
          <path
            key={`${link.kind} ${fromRow} ${toRow} ${link.toActor}`}
            class={`arrow ${link.kind}${current ? ' current' : ''}`}
            d={curve(join, geometry)}
            marker-end={`url(#tip-${link.kind})`}
            marker-start={link.kind === 'race' ? 'url(#tip-race)' : undefined}
          />
        );
      })}
    </g>
  );
}

/** Arrow heads, one for each kind of link. */
export function ArrowTips() {
  return (
    <defs>
      {['upcall', 'wake', 'flush', 'race'].map((kind) => (
        <marker
          key={kind}
          id={`tip-${kind}`}
          class={`tip ${kind}`}
          viewBox="0 0 8 8"
          refX="7"
          refY="4"
          markerWidth="7"
          markerHeight="7"
          markerUnits="userSpaceOnUse"
          orient="auto-start-reverse"
        >
          <path d="M0 0.5 L8 4 L0 7.5 Z" />
        </marker>
      ))}
      <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect class="hatch-ground" width="6" height="6" />
        <rect class="hatch-line" width="3" height="6" />
      </pattern>
    </defs>
  );
}

function curve({ fromRow, toRow, fromColumn, toColumn, fromText, toText }: JoinedRows, geometry: Geometry): string {
  const y1 = (fromRow + 0.5) * ROW_PX;
  const y2 = (toRow + 0.5) * ROW_PX;
  const right = toColumn > fromColumn;
  // Each end is before the bar or after the text, on the side of the other end: what is written stays readable.
  const x1 = geometry.bar(fromColumn, 0) + (right ? fromText : -1);
  const x2 = right ? geometry.bar(toColumn, 0) - 1 : geometry.bar(toColumn, 0) + toText;
  if (fromColumn === toColumn) {
    const out = x1 - 12;
    return `M${x1} ${y1} C${out} ${y1} ${out} ${y2} ${geometry.bar(toColumn, 0)} ${y2}`;
  }
  const reach = Math.max(24, Math.min(90, Math.abs(x2 - x1) / 2)) * (right ? 1 : -1);
  return `M${x1} ${y1} C${x1 + reach} ${y1} ${x2 - reach} ${y2} ${x2} ${y2}`;
}
