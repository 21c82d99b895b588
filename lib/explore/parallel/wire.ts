/**
 * Wakeup trees and sleep sets as plain data, to be sent between threads. A footprint that stands for several is a number
 * of its own in each engine, so it travels as the list behind it.
 */
import type { MachineState } from '../../engine/inline/machine-state';
import { EVERYTHING, MANY } from '../../engine/inline/ops';
import type { StepSequence, WakeupForest } from '../wakeup-tree';

export type WireFoot = number | readonly number[];

/** A step: actor, footprint, choice (see choiceOf; -1 if it is none). */
export interface WireStep {
  readonly actor: number;
  readonly foot: WireFoot;
  readonly choice: number;
}

/** A step of a sequence. */
export interface SequenceStep extends WireStep {
  /** Places in the sequence of steps that must stay before this one, not counting what follows from those. */
  readonly after: readonly number[];
  /** See StepSequence.mark. */
  readonly marked: boolean;
}

/** A step and what follows it in a wakeup tree. */
export interface WireNode extends WireStep {
  readonly below: readonly WireNode[];
}

/** Who is asleep at a node: actors with the footprints of their next steps; and values of choices. */
export interface WireSleep {
  readonly actors: readonly (readonly [actor: number, foot: WireFoot])[];
  readonly values: readonly (readonly [actor: number, values: number])[];
}

export type Feet = Pick<MachineState, 'feet'>;

export function packFoot({ feet }: Feet, foot: number): WireFoot {
  return (foot & MANY) !== 0 && foot !== EVERYTHING ? feet.of(foot) : foot;
}

export function unpackFoot({ feet }: Feet, foot: WireFoot): number {
  return typeof foot === 'number' ? foot : feet.intern(foot);
}

export function packSequence(state: Feet, sequence: StepSequence): SequenceStep[] {
  const { actors, feet, choices, length } = sequence;
  return Array.from({ length }, (_, at) => ({
    actor: actors[at] as number,
    foot: packFoot(state, feet[at] as number),
    choice: choices[at] as number,
    after: predecessors(sequence, at),
    marked: sequence.isMarked(at),
  }));
}

function predecessors(sequence: StepSequence, at: number): number[] {
  const after: number[] = [];
  for (let earlier = at - 1; earlier >= 0; earlier--) {
    if (!sequence.precedes(earlier, at)) continue;
    if (!after.some((between) => sequence.precedes(earlier, between))) after.push(earlier);
  }
  return after;
}

/** A list of sibling nodes, with all below them. */
export function packTree(state: Feet, forest: WakeupForest, head: number): WireNode[] {
  const nodes: WireNode[] = [];
  for (let node = head; node !== 0; node = forest.sibling(node)) {
    nodes.push({
      actor: forest.actor(node),
      foot: packFoot(state, forest.foot(node)),
      choice: forest.choice(node),
      below: packTree(state, forest, forest.child(node)),
    });
  }
  return nodes;
}

/** @returns the first node of the list; 0 for an empty one */
export function unpackTree(state: Feet, forest: WakeupForest, nodes: readonly WireNode[]): number {
  let next = 0;
  for (let at = nodes.length - 1; at >= 0; at--) {
    const { actor, foot, choice, below } = nodes[at] as WireNode;
    next = forest.make(actor, unpackFoot(state, foot), choice, unpackTree(state, forest, below), next);
  }
  return next;
}

/** @param base - where the actors' footprints, and their values, begin in `feet` and `values` */
export function packSleep(
  state: Feet,
  asleep: number,
  partial: number,
  feet: Int32Array,
  values: Int32Array,
  base: number,
): WireSleep {
  const sleep: { actors: [number, WireFoot][]; values: [number, number][] } = { actors: [], values: [] };
  for (let actor = 0; actor < 32; actor++) {
    const bit = 1 << actor;
    if ((asleep & bit) !== 0) sleep.actors.push([actor, packFoot(state, feet[base + actor] as number)]);
    if ((partial & bit) !== 0) sleep.values.push([actor, values[base + actor] as number]);
  }
  return sleep;
}
