/**
 * One thread's part of a parallel reduction: the sequential algorithm below the leaf that is its job, while what concerns the nodes
 * above is told to the board. See dpor-messages.ts.
 */
import type { MachineState } from '../../engine/inline/machine-state';
import { DporStrategy, STRIDE } from '../dpor';
import { choiceCount, choiceOf, choiceValue, type StepSequence } from '../wakeup-tree';
import type { Share } from './board';
import type { DporAnswer, DporJob, DporNews, NewNode, PathNode } from './dpor-messages';
import {
  packFoot,
  packSequence,
  packSleep,
  packTree,
  type SequenceStep,
  unpackFoot,
  unpackTree,
  type WireNode,
  type WireStep,
} from './wire';

/** More threads than anybody has: a node's number is made of that of its thread and a counter. */
export const THREADS = 4096;

export class DporShare extends DporStrategy implements Share<DporJob, DporAnswer> {
  replayed = 0;
  private path: readonly PathNode[] = [];
  /** Getting to the beginning of the job. */
  private playing = false;
  /** Ids of the board's nodes by depth: those above the root. */
  private ids: number[] = [];
  private made = 0;
  private scratch!: StepSequence;
  /** Races proposed and not answered yet, by node. */
  private readonly asked = new Map<number, Set<string>>();

  constructor(
    private readonly worker: number,
    private readonly send: (news: DporNews) => void,
  ) {
    super();
  }

  override attach(state: MachineState): void {
    super.attach(state);
    this.scratch = this.makeSequence();
  }

  load({ path }: DporJob): number {
    const { state, order, forest } = this;
    for (let depth = 0; depth < this.root; depth++) {
      forest.releaseAll(this.waiting[depth] as number);
      this.waiting[depth] = 0;
    }
    while (path.length + 2 >= this.sleep.length) this.grow();
    this.path = path;
    this.root = path.length;
    this.ids = path.map(({ id }) => id);
    this.asked.clear();
    this.playing = path.length > 0;
    if (state.depth > 0) order.rollback(state.depth, 0);
    this.sleep[0] = 0;
    this.partial[0] = 0;
    if (this.playing) this.restore(0);
    this.replayed += Math.max(0, path.length - 1);
    return 0;
  }

  override choose(enabled: number): number {
    if (!this.playing) return super.choose(enabled);
    const { depth } = this.state;
    const { actor, choice } = this.path[depth] as PathNode;
    if (((enabled >>> actor) & 1) === 0) throw new Error('dpor: a step of a job is not enabled');
    this.valueCount[depth] = 0;
    this.wantedChoice = choice;
    this.subtree = 0;
    return actor;
  }

  override executed(): void {
    super.executed();
    if (!this.playing) return;
    const { state, path } = this;
    if (state.depth < path.length) {
      this.restore(state.depth);
      return;
    }
    this.playing = false;
    if (!state.atomicHypercalls) return;
    this.send({ kind: 'measured', foot: packFoot(state, state.evFoot[state.depth - 1] as number) });
  }

  share(): boolean {
    const { state, root } = this;
    let last = root;
    while (last < state.depth && this.waiting[last] === 0 && this.untriedValues(last) === 0) last++;
    if (last >= state.depth) return false;
    const nodes: NewNode[] = [];
    for (let depth = root; depth <= last; depth++) {
      const node = this.describe(depth);
      nodes.push(node);
      this.ids.push(node.id);
    }
    this.root = last + 1;
    this.send({ kind: 'share', nodes });
    return true;
  }

  private describe(depth: number): NewNode {
    const { state, sleep, partial, sleepFeet, sleepValues } = this;
    const asleep = sleep[depth] as number;
    return {
      id: this.made++ * THREADS + this.worker,
      sleep: packSleep(state, asleep, partial[depth] as number, sleepFeet, sleepValues, depth * STRIDE),
      tried: this.tried[depth] as number,
      branch: this.branchAt(depth),
      untried: this.untriedValues(depth),
      waiting: packTree(state, this.forest, this.waiting[depth] as number),
    };
  }

  /** The step executed at a depth. */
  private branchAt(depth: number): WireStep {
    const { state } = this;
    const count = this.valueCount[depth] as number;
    return {
      actor: state.evActor[depth] as number,
      foot: packFoot(state, state.evFoot[depth] as number),
      choice: count === 0 ? -1 : choiceOf(this.value[depth] as number, count),
    };
  }

  receive({ node, waiting }: DporAnswer): void {
    const depth = this.ids.indexOf(node);
    if (depth < 0) return;
    this.asked.delete(node);
    this.replaceWaiting(depth, waiting);
  }

  private replaceWaiting(depth: number, waiting: readonly WireNode[]): void {
    this.forest.releaseAll(this.waiting[depth] as number);
    this.waiting[depth] = unpackTree(this.state, this.forest, waiting);
  }

  /** Makes what the board knows of a node on the path that of its depth. */
  private restore(depth: number): void {
    const { state } = this;
    const { sleep, before, waiting } = this.path[depth] as PathNode;
    if (sleep !== undefined) {
      this.sleep[depth] = 0;
      this.partial[depth] = 0;
      for (const [actor, foot] of sleep.actors) this.putToSleep(depth, actor, unpackFoot(state, foot));
      for (const [actor, values] of sleep.values) this.putValues(depth, actor, values);
    }
    for (const { actor, foot, choice } of before) {
      if (choice < 0) {
        this.putToSleep(depth, actor, unpackFoot(state, foot));
        continue;
      }
      const values = this.putValues(depth, actor, 1 << choiceValue(choice));
      if (values === (1 << choiceCount(choice)) - 1) this.putToSleep(depth, actor, 0);
    }
    this.replaceWaiting(depth, waiting);
  }

  private putToSleep(depth: number, actor: number, foot: number): void {
    this.sleep[depth] = (this.sleep[depth] as number) | (1 << actor);
    this.sleepFeet[depth * STRIDE + actor] = foot;
  }

  private putValues(depth: number, actor: number, values: number): number {
    const slot = depth * STRIDE + actor;
    const partial = this.partial[depth] as number;
    const all = (((partial >>> actor) & 1) === 0 ? 0 : (this.sleepValues[slot] as number)) | values;
    this.sleepValues[slot] = all;
    this.partial[depth] = partial | (1 << actor);
    return all;
  }

  protected override plan(depth: number, sequence: StepSequence): void {
    if (depth >= this.root) {
      super.plan(depth, sequence);
      return;
    }
    const { scratch } = this;
    scratch.copy(sequence);
    if (this.forest.holds(this.waiting[depth] as number, scratch)) return;
    const steps = packSequence(this.state, sequence);
    const node = this.ids[depth] as number;
    if (this.isNew(node, steps)) this.send({ kind: 'propose', node, via: this.branchAt(depth), steps });
  }

  protected override planStep(depth: number, sequence: StepSequence, initials: number): void {
    if (depth >= this.root) {
      super.planStep(depth, sequence, initials);
      return;
    }
    const step: WireStep = packSequence(this.state, sequence)[0] as SequenceStep;
    const node = this.ids[depth] as number;
    if (this.isNew(node, [step, initials]))
      this.send({ kind: 'step', node, via: this.branchAt(depth), step, initials });
  }

  /** Whether nothing like this is on its way to the board. */
  private isNew(node: number, proposal: unknown): boolean {
    let asked = this.asked.get(node);
    if (asked === undefined) {
      asked = new Set();
      this.asked.set(node, asked);
    }
    const key = JSON.stringify(proposal);
    if (asked.has(key)) return false;
    asked.add(key);
    return true;
  }
}
