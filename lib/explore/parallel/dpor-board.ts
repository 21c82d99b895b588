/**
 * The upper part of the search tree of a parallel reduction, and who explores what below it: kept on one thread, which only keeps
 * the books. The argument why the search stays exact is in dpor-messages.ts.
 */
import type { MemoryModel } from '../../engine/inline/event-stack';
import { MachineState } from '../../engine/inline/machine-state';
import { ENGINE_BYTES } from '../../engine/inline/ops';
import { CONFLICT, choiceCount, choiceOf, StepSequence } from '../wakeup-tree';
import type { Board } from './board';
import type { DporAnswer, DporJob, DporNews, NewNode, PathNode } from './dpor-messages';
import { THREADS } from './dpor-share';
import { packFoot, type SequenceStep, unpackFoot, type WireNode, type WireSleep, type WireStep } from './wire';

/** What becomes of a node. */
const Stage = {
  /** A leaf nobody explores yet. */
  WAITING: 0,
  /** A leaf being explored. */
  ACTIVE: 1,
  /** A leaf no longer: its own thread has made it one of the board's nodes. */
  SHARED: 2,
  /** An inner node of a wakeup tree. */
  GUIDE: 3,
  /** All is explored below. */
  OVER: 4,
} as const;

class BoardNode {
  stage: number = Stage.WAITING;
  id = -1;
  readonly depth: number;
  children: BoardNode[] = [];
  /** Leaves below that are not over, itself included if it is one. */
  open = 0;
  /** As NewNode has it. */
  sleep: WireSleep | undefined;
  tried = 0;

  /** @param foot - -1 if it is not known: an atomic hypercall that has yet to be executed */
  constructor(
    readonly parent: BoardNode | undefined,
    readonly actor: number,
    public foot: number,
    readonly choice: number,
  ) {
    this.depth = parent === undefined ? -1 : parent.depth + 1;
  }

  get measured(): boolean {
    return this.foot !== UNKNOWN;
  }
}

const UNKNOWN = -1;
/** Nodes of the tree that a thread is given a copy of, per node of its path. */
const COPIED = 64;

export class DporBoard implements Board<DporJob, DporNews, DporAnswer> {
  /** Knows which steps depend on each other; nothing is executed on it. */
  private readonly state: MachineState;
  private readonly root = new BoardNode(undefined, -1, 0, -1);
  private readonly nodes = new Map<number, BoardNode>();
  /** Leaves that wait, by depth. */
  private readonly waiting: BoardNode[][] = [];
  private readonly jobs = new Map<number, BoardNode>();
  private made = 0;
  private room = 0;
  /** Of the sequence that is being entered: the steps each follows from, as a set of bits. */
  private before: Uint32Array[] = [];
  private readonly sequence: StepSequence;

  /** @param programs - of the machine explored */
  constructor(
    programs: number,
    memoryModel: MemoryModel,
    private readonly atomicHypercalls: boolean,
  ) {
    const state = new MachineState(ENGINE_BYTES, programs, memoryModel);
    this.state = state;
    this.sequence = new StepSequence({
      ordered: (event, later) => (((this.before[later]?.[event >>> 5] ?? 0) >>> (event & 31)) & 1) !== 0,
      dependent: (actor, foot, other, otherFoot) => state.dependent(actor, foot, other, otherFoot),
    });
    this.open(this.root);
  }

  get finished(): boolean {
    return this.root.open === 0;
  }

  take(worker: number): DporJob | undefined {
    for (const leaves of this.waiting) {
      const at = leaves?.findIndex((leaf) => this.canBegin(leaf)) ?? -1;
      if (at < 0) continue;
      const [leaf] = leaves.splice(at, 1) as [BoardNode];
      leaf.stage = Stage.ACTIVE;
      this.jobs.set(worker, leaf);
      return { path: this.pathTo(leaf) };
    }
    return undefined;
  }

  receive(worker: number, news: DporNews): DporAnswer | undefined {
    switch (news.kind) {
      case 'share':
        this.share(worker, news.nodes);
        return undefined;
      case 'measured':
        this.job(worker).foot = unpackFoot(this.state, news.foot);
        return undefined;
      default: {
        const node = this.node(news.node);
        const via = this.indexOf(node, news.via);
        if (news.kind === 'propose') this.enter(node, via, news.steps);
        else if ((news.initials & this.actorsFrom(node, via + 1)) === 0) this.appendStep(node, news.step);
        return { node: node.id, waiting: this.packAfter(node, via) };
      }
    }
  }

  done(worker: number): void {
    const leaf = this.job(worker);
    this.jobs.delete(worker);
    leaf.stage = Stage.OVER;
    for (let node: BoardNode | undefined = leaf; node !== undefined; node = node.parent) {
      node.open--;
      // What was a leaf can be added to from below only; the inner nodes of a wakeup tree also from beside.
      if (node.open === 0 && node.stage === Stage.SHARED) this.close(node);
    }
  }

  explored(partOf: (worker: number) => number): number {
    const parts = new Map<BoardNode, number>();
    for (const [worker, leaf] of this.jobs) parts.set(leaf, partOf(worker));
    const explored = (node: BoardNode): number => {
      if (node.stage === Stage.OVER) return 1;
      if (node.children.length === 0) return parts.get(node) ?? 0;
      const behind = node.children.reduce((sum, child) => sum + explored(child), node.tried);
      return behind / (node.tried + node.children.length);
    };
    return explored(this.root);
  }

  private close(node: BoardNode): void {
    node.stage = Stage.OVER;
    this.forget(node);
    node.children = [];
  }

  private forget(node: BoardNode): void {
    this.nodes.delete(node.id);
    for (const child of node.children) this.forget(child);
  }

  private job(worker: number): BoardNode {
    const leaf = this.jobs.get(worker);
    if (leaf === undefined) throw new Error(`dpor: worker ${worker} has no job`);
    return leaf;
  }

  private node(id: number): BoardNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`dpor: news of node ${id}, which is over`);
    return node;
  }

  /** Where a node has a branch. */
  private indexOf(node: BoardNode, { actor, choice }: WireStep): number {
    return node.children.findIndex((child) => child.actor === actor && child.choice === choice);
  }

  /** Makes a new node a leaf that waits. */
  private open(leaf: BoardNode): void {
    leaf.stage = Stage.WAITING;
    for (let node: BoardNode | undefined = leaf; node !== undefined; node = node.parent) node.open++;
    this.waiting[leaf.depth + 1] ??= [];
    this.waiting[leaf.depth + 1]?.push(leaf);
  }

  /** The footprints of the branches before have to be known. */
  private canBegin(leaf: BoardNode): boolean {
    if (!this.atomicHypercalls || leaf.parent === undefined) return true;
    for (const child of leaf.parent.children) {
      if (child === leaf) return true;
      if (!child.measured) return false;
    }
    return true;
  }

  private pathTo(leaf: BoardNode): PathNode[] {
    const path: PathNode[] = [];
    for (let child = leaf; child.parent !== undefined; child = child.parent) {
      const node = child.parent;
      const at = node.children.indexOf(child);
      path.push({
        id: this.idOf(node),
        ...(node.sleep === undefined ? {} : { sleep: node.sleep }),
        before: node.children.slice(0, at).map((each) => this.pack(each)),
        waiting: this.packAfter(node, at),
        actor: child.actor,
        choice: child.choice,
      });
    }
    return path.reverse();
  }

  private idOf(node: BoardNode): number {
    if (node.id < 0) {
      node.id = this.made++ * THREADS + THREADS - 1;
      this.nodes.set(node.id, node);
    }
    return node.id;
  }

  private pack({ actor, foot, choice }: BoardNode): WireStep {
    return { actor, foot: foot === UNKNOWN ? 0 : packFoot(this.state, foot), choice };
  }

  /** The branches after one, as many as a copy has room for: what is not in it will be proposed. */
  private packAfter({ children }: BoardNode, at: number): WireNode[] {
    this.room = COPIED;
    return this.packList(children, at + 1);
  }

  private packList(children: readonly BoardNode[], from: number): WireNode[] {
    const nodes: WireNode[] = [];
    for (let index = from; index < children.length && this.room > 0; index++) {
      const node = children[index] as BoardNode;
      this.room--;
      const guides = node.stage === Stage.GUIDE;
      const below = guides ? this.packList(node.children, 0) : [];
      // An inner node cut short would look like a leaf.
      if (!guides || below.length > 0) nodes.push({ ...this.pack(node), below });
      else this.room = 0;
    }
    return nodes;
  }

  private share(worker: number, nodes: readonly NewNode[]): void {
    let leaf = this.job(worker);
    for (const { id, sleep, tried, branch, untried, waiting } of nodes) {
      leaf.stage = Stage.SHARED;
      leaf.id = id;
      leaf.sleep = sleep;
      leaf.tried = tried;
      this.nodes.set(id, leaf);
      const next = this.append(leaf, branch);
      next.open = 1;
      const count = choiceCount(branch.choice);
      for (let value = 0; untried >>> value !== 0; value++) {
        if (((untried >>> value) & 1) === 0) continue;
        this.open(this.append(leaf, { actor: branch.actor, foot: 0, choice: choiceOf(value, count) }));
      }
      for (const each of waiting) this.plant(leaf, each);
      leaf = next;
    }
    leaf.stage = Stage.ACTIVE;
    this.jobs.set(worker, leaf);
  }

  private append(parent: BoardNode, { actor, foot, choice }: WireStep): BoardNode {
    const node = new BoardNode(parent, actor, unpackFoot(this.state, foot), choice);
    parent.children.push(node);
    return node;
  }

  private plant(parent: BoardNode, wire: WireNode): void {
    const node = this.append(parent, wire);
    if (wire.below.length === 0) {
      this.open(node);
      if (this.atomicHypercalls) node.foot = UNKNOWN;
      return;
    }
    node.stage = Stage.GUIDE;
    for (const each of wire.below) this.plant(node, each);
  }

  /** Holds a race against the branches after `via`. */
  private enter(node: BoardNode, via: number, steps: readonly SequenceStep[]): void {
    const { sequence, state } = this;
    this.before = closure(steps);
    sequence.clear();
    steps.forEach(({ actor, foot, choice, marked }, at) => {
      sequence.push(actor, unpackFoot(state, foot), choice, at);
      if (marked) sequence.mark(at);
    });
    let parent = node;
    let from = via + 1;
    for (;;) {
      const found = this.findBranch(parent, from);
      if (found === undefined) break;
      if (found.stage !== Stage.GUIDE || sequence.length === 0) return;
      parent = found;
      from = 0;
    }
    sequence.reduce();
    for (let at = 0; at < sequence.length; at++) {
      const child = new BoardNode(
        parent,
        sequence.actors[at] as number,
        sequence.feet[at] as number,
        sequence.choices[at] as number,
      );
      parent.children.push(child);
      child.stage = Stage.GUIDE;
      parent = child;
    }
    this.open(parent);
  }

  /** The first of a node's branches that could begin the sequence, its step taken from the sequence. */
  private findBranch(node: BoardNode, from: number): BoardNode | undefined {
    const { sequence } = this;
    for (let index = from; index < node.children.length; index++) {
      const child = node.children[index] as BoardNode;
      const at = sequence.find(child.actor, child.foot, child.choice);
      if (at === CONFLICT) {
        sequence.mark(sequence.conflict);
        continue;
      }
      if (at >= 0) sequence.remove(at);
      return child;
    }
    return undefined;
  }

  private actorsFrom({ children }: BoardNode, from: number): number {
    let actors = 0;
    for (let at = from; at < children.length; at++) actors |= 1 << (children[at] as BoardNode).actor;
    return actors;
  }

  private appendStep(parent: BoardNode, step: WireStep): void {
    const leaf = this.append(parent, step);
    leaf.foot = UNKNOWN;
    this.open(leaf);
  }
}

/** For each step of a sequence those it follows from. */
function closure(steps: readonly SequenceStep[]): Uint32Array[] {
  const before: Uint32Array[] = [];
  for (const { after } of steps) {
    const bits = new Uint32Array((steps.length + 31) >>> 5);
    for (const earlier of after) {
      const theirs = before[earlier] as Uint32Array;
      for (let word = 0; word < bits.length; word++) bits[word] = (bits[word] as number) | (theirs[word] as number);
      bits[earlier >>> 5] = (bits[earlier >>> 5] as number) | (1 << (earlier & 31));
    }
    before.push(bits);
  }
  return before;
}
