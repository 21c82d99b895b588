/**
 * What the threads of a parallel reduction tell each other.
 *
 * How the work is divided. The *board* (dpor-board.ts, on one thread) owns the upper part of the search tree: its nodes are
 * prefixes of executions, the children of each in an order, and its leaves are *jobs*: all executions that begin with the events on the
 * way to the leaf. A thread with a job (dpor-share.ts) runs the sequential algorithm below the leaf. When asked to share, it
 * makes its current path, from the leaf down to the first node that has branches waiting, part of the board's tree: the branch it
 * is in is its job now, the branches waiting are new leaves.
 *
 * Why the count stays exact. The sequential algorithm (dpor.ts) makes a tree of executions with ordered branches, and what the
 * theory of optimal reduction says of it depends on three properties of the finished tree, not on when its nodes were made:
 *
 * 1. A branch sleeps on those before it: what could begin with the step of an earlier branch is not executed below a later
 *    one. So no trace is executed twice. Here the order of a node's branches is that of the list; new ones are put at its end.
 *    Which branch is begun first, or whether two are explored at once, does not matter.
 * 2. Every race of every execution is held against the node before its first event, and then either (a) a branch before the one it
 *    was found in, or one asleep since above, could begin with it reversed, or (b) among the branches after that one there
 *    is a way down to a leaf, each step of which could begin it, or as far as it goes: there what is wanted is among what
 *    the leaf, which is explored freely, comes to; else such a way is added. So no trace is missed. Where a leaf has been
 *    explored since, or is being explored, (b) holds as well.
 *    But where the way ends at an inner node of a wakeup tree, a branch has to be added there even if everything below
 *    is explored by now: what is explored below an inner node was guided by the wakeup tree, with others asleep whose branches may
 *    have more to tell. This is why the inner nodes of wakeup trees are nodes of the board, and stay until all is over that could
 *    add to them, while a leaf once explored is no more than its step.
 * 3. Reversed races are added with so many of their steps that nothing which sleeps could still come first (StepSequence.reduce).
 *    So at a leaf nobody is asleep, and no execution is cut off.
 *
 * (a) is for the thread to see: what sleeps at the nodes on its path does not change. (b) is for the board: races found below a job at
 * nodes above it are proposed to the board, in order and before the end of the job is told, so the search is over only when
 * no race is left on the way. The thread has a copy of the branches after its own and does not propose what (b) holds for
 * in the copy: branches stay, so it holds in the original. But it may not count on what it has proposed itself: the board may have found
 * another way for that, which does not do for the next race.
 *
 * Where hypercalls are atomic (source sets, no wakeup trees) the same holds with steps in place of sequences; executions may be cut off
 * there, and how many depends on the order of branches.
 */
import type { SequenceStep, WireFoot, WireNode, WireSleep, WireStep } from './wire';

/** A node on the way to a job, and the step taken there. */
export interface PathNode {
  readonly id: number;
  /** Who is asleep there, but for the branches `before`; absent if that follows from the node above. */
  readonly sleep?: WireSleep;
  readonly before: readonly WireStep[];
  /** The branches after the one taken. */
  readonly waiting: readonly WireNode[];
  readonly actor: number;
  readonly choice: number;
}

export interface DporJob {
  readonly path: readonly PathNode[];
}

/** A node of a thread's becomes one of the board's. */
export interface NewNode {
  readonly id: number;
  /** Who is asleep there, the branches explored included, and how many these are. */
  readonly sleep: WireSleep;
  readonly tried: number;
  /** The branch being explored. */
  readonly branch: WireStep;
  /** Values of its choice that have not been begun, as a mask. */
  readonly untried: number;
  readonly waiting: readonly WireNode[];
}

/** From a thread to the board. */
export type DporNews =
  /** The nodes from the job's leaf down; the job is now what lies below the last one's branch. */
  | { readonly kind: 'share'; readonly nodes: readonly NewNode[] }
  /** A race at a node, found below its branch `via`. */
  | { readonly kind: 'propose'; readonly node: number; readonly via: WireStep; readonly steps: readonly SequenceStep[] }
  /** The same where hypercalls are atomic: a step, and the actors of which any would do. */
  | {
      readonly kind: 'step';
      readonly node: number;
      readonly via: WireStep;
      readonly step: WireStep;
      readonly initials: number;
    }
  /** The footprint that the job's first step has had; where hypercalls are atomic. */
  | { readonly kind: 'measured'; readonly foot: WireFoot };

/** From the board to a thread: the branches after the thread's own at a node. */
export interface DporAnswer {
  readonly node: number;
  readonly waiting: readonly WireNode[];
}
