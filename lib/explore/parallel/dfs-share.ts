/**
 * Depth-first search by several threads. A job is a branch: all schedules that begin with the same events. Branches are
 * disjoint and whether one exists depends on its events alone, so who explores it, and when, changes nothing.
 */
import { DfsStrategy } from '../dfs';
import { bitCount } from '../random';
import type { Board, Share } from './board';

export interface DfsJob {
  /** Actor of each event, and the value of its choice; -1 for other events, and for the last one if all values are wanted. */
  readonly path: readonly (readonly [actor: number, value: number])[];
  /** Its part of the space, 0 to 1. */
  readonly weight: number;
}

/** Branches given away. */
export type DfsNews = readonly DfsJob[];

export class DfsBoard implements Board<DfsJob, DfsNews, never> {
  private readonly waiting: DfsJob[] = [{ path: [], weight: 1 }];
  /** Per thread that has a job: the part of the space that is left to it. */
  private readonly active = new Map<number, DfsJob>();
  private readonly given = new Map<number, number>();
  private behind = 0;

  get finished(): boolean {
    return this.waiting.length === 0 && this.active.size === 0;
  }

  take(worker: number): DfsJob | undefined {
    let best = 0;
    this.waiting.forEach(({ path }, at) => {
      if (path.length < (this.waiting[best] as DfsJob).path.length) best = at;
    });
    const [job] = this.waiting.splice(best, 1);
    if (job !== undefined) {
      this.active.set(worker, job);
      this.given.set(worker, 0);
    }
    return job;
  }

  receive(worker: number, jobs: DfsNews): undefined {
    const { weight } = this.active.get(worker) as DfsJob;
    for (const job of jobs) {
      this.given.set(worker, (this.given.get(worker) ?? 0) + job.weight);
      this.waiting.push({ path: job.path, weight: job.weight * weight });
    }
  }

  done(worker: number): void {
    const { weight } = this.active.get(worker) as DfsJob;
    this.behind += weight * (1 - (this.given.get(worker) ?? 0));
    this.active.delete(worker);
  }

  explored(partOf: (worker: number) => number): number {
    let explored = this.behind;
    for (const [worker, { weight }] of this.active) explored += weight * partOf(worker);
    return explored;
  }
}

export class DfsShare extends DfsStrategy implements Share<DfsJob, never> {
  replayed = 0;
  private path: DfsJob['path'] = [];
  /** Part of the job given away and counted as behind since. */
  private given = 0;

  constructor(
    preemptionBound: number,
    private readonly send: (news: DfsNews) => void,
  ) {
    super(preemptionBound);
  }

  load({ path }: DfsJob): number {
    const { state } = this;
    this.path = path;
    this.given = 0;
    this.root = Math.max(0, path.length - 1);
    let depth = 0;
    const most = Math.min(this.root, state.depth - 1);
    while (depth < most && this.isTaken(depth)) depth++;
    this.replayed += this.root - depth;
    return depth;
  }

  private isTaken(depth: number): boolean {
    const [actor, value] = this.path[depth] as DfsJob['path'][number];
    return this.state.evActor[depth] === actor && this.value[depth] === value;
  }

  override choose(enabled: number): number {
    const { depth } = this.state;
    const step = this.path[depth];
    // At the last event of the path only the first execution is told what to do: others may try values.
    if (step === undefined || this.forcedActor >= 0) return super.choose(enabled);
    this.forcedActor = step[0];
    this.untried[depth] = 0;
    this.branches[depth] = 1;
    return super.choose(enabled);
  }

  override chooseValue(actor: number, count: number): number {
    const { depth } = this.state;
    const value = this.path[depth]?.[1] ?? -1;
    if (value < 0) return super.chooseValue(actor, count);
    this.forcedValue = value;
    super.chooseValue(actor, count);
    // No others here.
    this.valueCount[depth] = 0;
    return value;
  }

  share(): boolean {
    const { state, root } = this;
    let depth = root;
    while (depth < state.depth && this.untried[depth] === 0 && this.valuesLeft(depth) === 0) depth++;
    if (depth >= state.depth) return false;
    const path = Array.from(
      { length: depth },
      (_, at) => [state.evActor[at] as number, this.value[at] as number] as const,
    );
    const jobs: DfsJob[] = [];
    // The weight of what lies below this node is split among its actors, that of an actor among the values of its choice.
    const node = this.weightAt(depth);
    const count = this.valueCount[depth] as number;
    const actor = state.evActor[depth] as number;
    for (let left = this.valuesLeft(depth); left > 0; left--) {
      jobs.push({ path: [...path, [actor, count - left]], weight: node / (this.branches[depth] as number) / count });
    }
    for (let rest = this.untried[depth] as number; rest !== 0; rest &= rest - 1) {
      const other = 31 - Math.clz32(rest & -rest);
      jobs.push({ path: [...path, [other, -1]], weight: node / (this.branches[depth] as number) });
    }
    this.given += (bitCount(this.untried[depth] as number) * node) / (this.branches[depth] as number);
    this.untried[depth] = 0;
    this.root = depth + 1;
    this.send(jobs);
    return true;
  }

  receive(): void {}

  /** Values of the choice made at this depth that have not been tried there. */
  private valuesLeft(depth: number): number {
    return Math.max(0, (this.valueCount[depth] as number) - 1 - (this.value[depth] as number));
  }

  /** The part of the job that lies below the event before this depth. */
  private weightAt(depth: number): number {
    let weight = 1;
    for (let above = Math.max(0, this.path.length - 1); above < depth; above++) {
      weight /= (this.branches[above] as number) * Math.max(1, this.valueCount[above] as number);
    }
    return weight;
  }

  override explored(): number {
    return super.explored(Math.max(0, this.path.length - 1)) - this.given;
  }
}
