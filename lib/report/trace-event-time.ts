/**
 * Where on the time axis of trace events things are, in microseconds: a step per microsecond, or, of a recorded run, at their
 * times. There a step lasts until its thread does something else, and no longer than an access can take.
 */
import type { Trace } from '../explore/trace-format';

const LONGEST_STEP_NS = 50;
/** Slices have to last. */
const SHORTEST_STEP_NS = 1;

export class EventTime {
  /** The end of the trace. */
  readonly last: number;
  private readonly timed: boolean;
  private readonly endsNs: readonly number[];

  constructor(private readonly trace: Trace) {
    const { steps, recorded } = trace;
    this.timed = recorded?.timed === true;
    this.endsNs = this.timed ? endsOf(trace) : [];
    this.last = this.timed ? latest(trace, this.endsNs) / 1000 : steps.length;
  }

  begin(step: number): number {
    return this.timed ? (this.trace.steps[step]?.timeNs ?? 0) / 1000 : step;
  }

  end(step: number): number {
    return this.timed ? (this.endsNs[step] ?? 0) / 1000 : step + 1;
  }

  /** A moment of a step. @param part - 0 to 1 */
  within(step: number, part: number): number {
    return this.begin(step) + (this.end(step) - this.begin(step)) * part;
  }

  /** Of a mark or turn; where it has no time of its own, the time given. */
  ofMark({ timeNs }: { readonly timeNs?: number }, otherwise: number): number {
    return this.timed && timeNs !== undefined ? timeNs / 1000 : otherwise;
  }

  /** Just before an actor that is told with a step to be woken goes on. */
  wakes(step: number, actor: number): number {
    const turn = this.trace.steps[step]?.turns?.findLast((each) => each.actor === actor && each.kind === 'wake');
    return this.timed && turn?.timeNs !== undefined ? (turn.timeNs - SHORTEST_STEP_NS) / 1000 : this.within(step, 0.75);
  }
}

/** Of each step. */
function endsOf({ actors, steps, lastMarks }: Trace): number[] {
  const ends = steps.map(({ timeNs = 0 }) => timeNs + LONGEST_STEP_NS);
  /** By actor: its last step. */
  const latestStep: (number | undefined)[] = actors.map(() => undefined);
  const happens = (actor: number, timeNs: number | undefined): void => {
    const step = latestStep[actor];
    if (step === undefined || timeNs === undefined) return;
    const beginNs = steps[step]?.timeNs ?? 0;
    ends[step] = Math.max(beginNs + SHORTEST_STEP_NS, Math.min(ends[step] as number, timeNs));
  };
  steps.forEach(({ actor, marks, timeNs, turns = [] }, index) => {
    for (const mark of marks) happens(actor, mark.timeNs);
    happens(actor, timeNs);
    latestStep[actor] = index;
    for (const turn of turns) happens(turn.actor, turn.timeNs);
  });
  for (const actor of actors.keys()) for (const mark of lastMarks[actor] ?? []) happens(actor, mark.timeNs);
  return ends;
}

function latest({ steps, lastMarks }: Trace, endsNs: readonly number[]): number {
  const told = [...steps.flatMap(({ turns = [] }) => turns), ...Object.values(lastMarks).flat()];
  return [...endsNs, ...told.flatMap(({ timeNs }) => timeNs ?? [])].reduce((most, time) => Math.max(most, time), 0);
}
