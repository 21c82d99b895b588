/**
 * The timeline: a column per actor, a row per step, time downwards. Of its rows only those that can be seen are in the
 * document, so that a long trace is as fluid as a short one; on paper all of them are, up to a limit.
 */
import './timeline.css';
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Row } from '../rows';
import { lastUpTo } from '../timeline/word-history';
import { depthOf, type Geometry, joinRows, layOut, place, ROW_PX, textOffset } from './geometry';
import { Arrows, ArrowTips, Lanes } from './lanes';
import { Overview } from './overview';
import { RowText } from './step-text';
import type { TimelineModel, View } from './timeline-model';
import { usePrinting } from './use-printing';
import { useSize } from './use-size';

/** Rows drawn beyond the edges. */
const SPARE = 8;
/** Rows kept between the current one and the edge. */
const MARGIN = 4;
const HEAD_PX = 30;
const MOST_ON_PAPER = 1500;

interface TimelineProps {
  readonly model: TimelineModel;
  readonly view: View;
  readonly step: number;
  readonly onStep: (step: number) => void;
  readonly label: string;
  /** The step in which this execution differs from the other one, if there are two. */
  readonly difference?: number;
}

export function Timeline({ model, view, step, onStep, label, difference }: TimelineProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const size = useSize(scroller);
  const [top, setTop] = useState(0);
  const printing = usePrinting();
  const id = useId();
  const geometry = useMemo(() => layOut(model, view, size.width), [model, view, size.width]);
  const joined = useMemo(() => joinRows(model, view), [model, view]);
  const { rows, stops, stopSteps } = view;
  const current = stops[lastUpTo(stopSteps, step)] ?? -1;

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null || current < 0) return;
    const room = element.clientHeight - HEAD_PX;
    const margin = Math.min(MARGIN * ROW_PX, Math.max(0, (room - ROW_PX) / 2));
    const at = current * ROW_PX;
    if (at < element.scrollTop + margin) element.scrollTop = Math.max(0, at - margin);
    else if (at + ROW_PX > element.scrollTop + room - margin) element.scrollTop = at + ROW_PX - room + margin;
  }, [current, view, size.height]);

  useEffect(() => {
    if (!printing) setTop(scroller.current?.scrollTop ?? 0);
  }, [printing]);

  const middle = Math.max(0, Math.min(rows.length, current + MOST_ON_PAPER / 2) - MOST_ON_PAPER);
  const first = printing ? middle : Math.max(0, Math.floor(top / ROW_PX) - SPARE);
  const count = printing ? MOST_ON_PAPER : Math.ceil(size.height / ROW_PX) + 2 * SPARE;
  const last = Math.min(rows.length, first + count);
  const offset = printing ? first : 0;
  const differing = difference === undefined ? -1 : (stops[lastUpTo(stopSteps, difference)] ?? -1);

  return (
    <div class="timeline">
      <div
        class="scroller"
        ref={scroller}
        role="grid"
        tabIndex={0}
        aria-label={label}
        aria-rowcount={rows.length + 1}
        aria-colcount={view.columns.length + 2}
        aria-activedescendant={current >= first && current < last ? `${id}${current}` : undefined}
        onScroll={({ currentTarget }) => setTop(currentTarget.scrollTop)}
      >
        <Head model={model} view={view} geometry={geometry} />
        <div
          class="body"
          role="rowgroup"
          style={{ height: `${(printing ? last - first : rows.length) * ROW_PX}px`, width: `${geometry.widthPx}px` }}
        >
          <svg
            class="drawing"
            aria-hidden="true"
            width={geometry.widthPx}
            height={(last - first) * ROW_PX}
            viewBox={`0 ${first * ROW_PX} ${geometry.widthPx} ${Math.max(1, (last - first) * ROW_PX)}`}
            style={{ top: `${(first - offset) * ROW_PX}px` }}
          >
            <ArrowTips />
            <Lanes model={model} view={view} geometry={geometry} first={first} last={last} />
            <Arrows joined={joined} geometry={geometry} first={first} last={last} step={step} />
          </svg>
          {rows.slice(first, last).map((row, index) => (
            <TimelineRow
              key={first + index}
              id={`${id}${first + index}`}
              index={first + index}
              top={(first + index - offset) * ROW_PX}
              row={row}
              model={model}
              view={view}
              geometry={geometry}
              current={first + index === current}
              differs={first + index === differing}
              onStep={onStep}
            />
          ))}
        </div>
      </div>
      {rows.length * ROW_PX > size.height && (
        <Overview model={model} view={view} top={top} height={size.height} scroller={scroller} current={current} />
      )}
      {rows.length > MOST_ON_PAPER && (
        <p class="paper-only">
          Rows {first + 1} to {last} of {rows.length}: those around the current step.
        </p>
      )}
    </div>
  );
}

function Head({ model, view, geometry }: { model: TimelineModel; view: View; geometry: Geometry }) {
  return (
    <div role="rowgroup" class="head" style={{ width: `${geometry.widthPx}px` }}>
      <div role="row" aria-rowindex={1} class="head-row">
        <div role="columnheader" aria-colindex={1} class="number" style={{ width: `${geometry.numberPx}px` }}>
          <span class="unseen">step</span>
        </div>
        {geometry.placePx > 0 && (
          <div role="columnheader" aria-colindex={2} class="place" style={{ width: `${geometry.placePx}px` }}>
            <PlaceHeading model={model} />
          </div>
        )}
        {view.columns.map((actor, column) => (
          <div
            key={actor}
            role="columnheader"
            aria-colindex={column + 3}
            class={`actor actor-${column % 8}`}
            style={{ left: `${geometry.left(column)}px`, width: `${geometry.columnWidth(column)}px` }}
          >
            <span class="swatch" aria-hidden="true" />
            {model.actorName(actor)}
          </div>
        ))}
      </div>
    </div>
  );
}

function PlaceHeading({ model }: { model: TimelineModel }) {
  if (model.trace.recorded?.timed === true) return <span title="since the first step, in milliseconds">ms</span>;
  if (model.file === undefined) return <span class="unseen">place</span>;
  return <span title={model.file}>line</span>;
}

interface TimelineRowProps {
  readonly id: string;
  readonly index: number;
  readonly top: number;
  readonly row: Row;
  readonly model: TimelineModel;
  readonly view: View;
  readonly geometry: Geometry;
  readonly current: boolean;
  readonly differs: boolean;
  readonly onStep: (step: number) => void;
}

function TimelineRow(props: TimelineRowProps) {
  const { id, index, top, row, model, view, geometry, current, differs, onStep } = props;
  const column = Math.max(0, view.columns.indexOf(row.actor));
  const depth = row.actor < 0 ? 0 : depthOf(model, view, index, column);
  const left = row.actor < 0 ? geometry.left(0) + 24 : geometry.bar(column, 0) + textOffset(depth);
  const classes = ['row', `is-${row.kind}`, `actor-${column % 8}`, current && 'current', differs && 'differs'];
  return (
    <div
      id={id}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={current}
      class={classes.filter(Boolean).join(' ')}
      style={{ top: `${top}px`, width: `${geometry.widthPx}px` }}
      onClick={() => onStep(row.at)}
    >
      {row.number === undefined ? (
        <div class="number" aria-hidden="true" style={{ width: `${geometry.numberPx}px` }} />
      ) : (
        <div role="rowheader" aria-colindex={1} class="number" style={{ width: `${geometry.numberPx}px` }}>
          {row.number}
        </div>
      )}
      {geometry.placePx > 0 && (
        <div role="gridcell" aria-colindex={2} class="place" style={{ width: `${geometry.placePx}px` }}>
          {place(model, row)}
        </div>
      )}
      <div
        role="gridcell"
        aria-colindex={column + 3}
        class="text"
        style={{ left: `${left}px`, maxWidth: `${geometry.widthPx - left - 6}px` }}
        title={row.text}
      >
        {row.actor >= 0 && <span class="unseen">{model.actorName(row.actor)}: </span>}
        <RowText row={row} model={model} />
        {differs && <span class="flag">differs from here</span>}
      </div>
    </div>
  );
}
