/** The whole trace at a glance, beside the timeline: who ran when, the failure, and which part is on the screen. */
import './overview.css';
import type { RefObject } from 'preact';
import { useMemo } from 'preact/hooks';
import { ROW_PX } from './geometry';
import { Lane, type TimelineModel, type View } from './timeline-model';

/** Slices that the trace is cut into. */
const MOST_SLICES = 300;
const LANE = 10;

interface OverviewProps {
  readonly model: TimelineModel;
  readonly view: View;
  readonly top: number;
  readonly height: number;
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly current: number;
}

export function Overview({ model, view, top, height, scroller, current }: OverviewProps) {
  const { rows, columns } = view;
  const shapes = useMemo(() => slices(view), [view]);
  const total = Math.max(1, rows.length);
  const width = Math.max(1, columns.length) * LANE;
  const jump = (event: MouseEvent): void => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const part = (event.clientY - box.top) / box.height;
    scroller.current?.scrollTo({ top: part * total * ROW_PX - height / 2 });
  };
  const failure = rows.findLastIndex(({ kind }) => kind === 'failure');
  const failed = failure >= 0 ? failure : model.trace.failure === null ? -1 : rows.length - 1;
  return (
    <svg
      class="overview"
      aria-hidden="true"
      viewBox={`0 0 ${width} ${total}`}
      preserveAspectRatio="none"
      onClick={jump}
      onMouseMove={(event) => event.buttons === 1 && jump(event)}
    >
      {shapes.map((path, column) => (
        <path key={columns[column]} class={`actor-${column % 8} ran`} d={path} />
      ))}
      {failed >= 0 && <rect class="failed" x="0" width={width} y={failed} height={Math.max(1, total / 150)} />}
      <rect class="window" x="0" width={width} y={top / ROW_PX} height={Math.min(total, height / ROW_PX)} />
      {current >= 0 && <rect class="here" x="0" width={width} y={current} height={Math.max(0.5, total / 300)} />}
    </svg>
  );
}

/** Per column: a path over the slices in which its actor runs, as wide as its share. */
function slices({ rows, columns, lanes }: View): string[] {
  const thickness = Math.max(1, Math.ceil(rows.length / MOST_SLICES));
  return columns.map((_, column) => {
    let path = '';
    for (let from = 0; from < rows.length; from += thickness) {
      const to = Math.min(rows.length, from + thickness);
      let ran = 0;
      for (let row = from; row < to; row++) {
        if (((lanes[row * columns.length + column] as number) & Lane.RUNNING) !== 0) ran++;
      }
      if (ran === 0) continue;
      const wide = 2 + (LANE - 4) * (ran / (to - from));
      path += `M${column * LANE + 1} ${from}h${wide.toFixed(1)}v${to - from}h-${wide.toFixed(1)}z`;
    }
    return path;
  });
}
