/** Where a key or a button leads to from a step: all jumps of the timeline. Each returns a step; the same one if there is nowhere to go. */
import type { Link } from '../timeline/links';
import { lastUpTo } from '../timeline/word-history';
import type { TimelineModel, View } from './timeline-model';

const PAGE = 20;

export class Navigator {
  private readonly position: number;

  constructor(
    private readonly model: TimelineModel,
    private readonly view: View,
    readonly step: number,
  ) {
    this.position = lastUpTo(view.stopSteps, step);
  }

  /** The row of the step, or the one before it if the step is not shown. */
  get row(): number {
    return this.view.stops[this.position] ?? -1;
  }

  by(rows: number): number {
    const { stopSteps } = this.view;
    // From a step that is not shown, one row back is the row before it.
    const back = rows < 0 && (stopSteps[this.position] ?? this.step) < this.step ? rows + 1 : rows;
    const position = Math.min(Math.max(0, this.position + back), stopSteps.length - 1);
    return stopSteps[position] ?? this.step;
  }

  page(direction: 1 | -1): number {
    return this.by(direction * PAGE);
  }

  first(): number {
    return this.view.stopSteps[0] ?? this.step;
  }

  last(): number {
    return this.view.stopSteps.at(-1) ?? this.step;
  }

  failure(): number {
    return this.model.failureStep;
  }

  /** The next row of another actor than the row before it. */
  contextSwitch(direction: 1 | -1): number {
    const { rows, stops } = this.view;
    return this.search(direction, (position) => {
      const before = rows[stops[position - 1] ?? -1];
      return before !== undefined && before.actor !== rows[stops[position] as number]?.actor;
    });
  }

  /** The next step that an actor takes in place of one that could have gone on. */
  preemption(direction: 1 | -1): number {
    const { rows, stops } = this.view;
    return this.search(direction, (position) => {
      for (let row = (stops[position] as number) - 1; row > (stops[position - 1] ?? -1); row--) {
        if (rows[row]?.kind === 'preempted') return true;
      }
      return false;
    });
  }

  /** The next access to the same word, shown or not. */
  sameWord(direction: 1 | -1): number {
    const found = this.model.sameWord(this.step, direction);
    return found < 0 ? this.step : found;
  }

  /** The other end of an arrow. */
  follow(): number {
    const links = this.links();
    const onwards = links.find(({ from, to }) => from === this.step && to !== this.step);
    return onwards?.to ?? links.find(({ from }) => from !== this.step)?.from ?? this.step;
  }

  /** Links that begin or end at the step. */
  links(): readonly Link[] {
    return this.model.links.filter(({ from, to }) => from === this.step || to === this.step);
  }

  private search(direction: 1 | -1, fits: (position: number) => boolean): number {
    const { stopSteps } = this.view;
    for (let at = this.position + direction; at >= 0 && at < stopSteps.length; at += direction) {
      if (fits(at)) return stopSteps[at] as number;
    }
    return this.step;
  }
}
