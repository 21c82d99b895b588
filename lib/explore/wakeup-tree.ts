/**
 * Wakeup trees: per depth of the current execution, the schedules still to be explored from there. A node is a
 * step (actor, footprint); its children follow it; siblings are explored in order. All trees share one pool.
 *
 * After Abdulla, Aronis, Jonsson, Sagonas: Source Sets (JACM 64(4), 2017), section on optimal DPOR.
 */
import type { MachineState } from '../engine/inline/machine-state';

/** A sequence of steps to be explored: events by actor and footprint. */
export class StepSequence {
  actors = new Int32Array(64);
  feet = new Int32Array(64);
  /** Result of a nondeterministic choice, or -1 for every other step. */
  values = new Int32Array(64);
  length = 0;

  clear(): void {
    this.length = 0;
  }

  push(actor: number, foot: number, value: number): void {
    if (this.length === this.actors.length) this.grow();
    const at = this.length++;
    this.actors[at] = actor;
    this.feet[at] = foot;
    this.values[at] = value;
  }

  remove(at: number): void {
    this.length--;
    for (let step = at; step < this.length; step++) {
      this.actors[step] = this.actors[step + 1] as number;
      this.feet[step] = this.feet[step + 1] as number;
      this.values[step] = this.values[step + 1] as number;
    }
  }

  private grow(): void {
    this.actors = twice(this.actors);
    this.feet = twice(this.feet);
    this.values = twice(this.values);
  }
}

function twice(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

const NODE = 5;
const ACTOR = 0;
const FOOT = 1;
const VALUE = 2;
const CHILD = 3;
const SIBLING = 4;

export class WakeupForest {
  private nodes = new Int32Array(NODE * 256);
  private free = 0;
  private used = 1;

  constructor(private readonly state: MachineState) {}

  actor(node: number): number {
    return this.nodes[node * NODE + ACTOR] as number;
  }

  value(node: number): number {
    return this.nodes[node * NODE + VALUE] as number;
  }

  sibling(node: number): number {
    return this.nodes[node * NODE + SIBLING] as number;
  }

  child(node: number): number {
    return this.nodes[node * NODE + CHILD] as number;
  }

  /** Gives a node back. Its children live on. */
  release(node: number): void {
    this.nodes[node * NODE + SIBLING] = this.free;
    this.free = node;
  }

  /** Gives a list of nodes back with all that hangs on it. */
  releaseAll(head: number): void {
    let node = head;
    while (node !== 0) {
      const next = this.sibling(node);
      this.releaseAll(this.child(node));
      this.release(node);
      node = next;
    }
  }

  /**
   * Adds a sequence to the tree whose top nodes are the list `head`, unless a schedule equivalent to (the
   * beginning of) an extension of it is there already.
   * @param sequence - used up
   * @returns the head of the list, which may have begun now
   */
  insert(head: number, sequence: StepSequence): number {
    let parent = 0;
    let list = head;
    for (;;) {
      let last = 0;
      let found = 0;
      for (let node = list; node !== 0; node = this.sibling(node)) {
        const at = this.position(node, sequence);
        if (at !== CONFLICT) {
          if (at !== ABSENT) sequence.remove(at);
          found = node;
          break;
        }
        last = node;
      }
      if (found === 0) {
        const first = this.chain(sequence);
        if (last !== 0) this.nodes[last * NODE + SIBLING] = first;
        else if (parent !== 0) this.nodes[parent * NODE + CHILD] = first;
        else return first;
        return head;
      }
      list = this.child(found);
      if (list === 0 || sequence.length === 0) return head;
      parent = found;
    }
  }

  /** Adds a sequence before the list `head`, whatever is there. Returns the new head. */
  prepend(head: number, sequence: StepSequence): number {
    const first = this.chain(sequence);
    this.nodes[first * NODE + SIBLING] = head;
    return first;
  }

  /** Where the sequence has this node's step as one that could come first; ABSENT if it commutes with all of it. */
  private position(node: number, sequence: StepSequence): number {
    const actor = this.nodes[node * NODE + ACTOR] as number;
    const foot = this.nodes[node * NODE + FOOT] as number;
    for (let at = 0; at < sequence.length; at++) {
      // Another value of the same choice is another step.
      if (sequence.actors[at] === actor) return sequence.values[at] === this.value(node) ? at : CONFLICT;
      const other = sequence.actors[at] as number;
      if (this.state.dependent(actor, foot, other, sequence.feet[at] as number)) return CONFLICT;
    }
    return ABSENT;
  }

  /** Makes a branch of the whole sequence; returns its first node. */
  private chain(sequence: StepSequence): number {
    let below = 0;
    for (let at = sequence.length - 1; at >= 0; at--) {
      const node = this.allocate();
      const slot = node * NODE;
      this.nodes[slot + ACTOR] = sequence.actors[at] as number;
      this.nodes[slot + FOOT] = sequence.feet[at] as number;
      this.nodes[slot + VALUE] = sequence.values[at] as number;
      this.nodes[slot + CHILD] = below;
      this.nodes[slot + SIBLING] = 0;
      below = node;
    }
    return below;
  }

  private allocate(): number {
    if (this.free !== 0) {
      const node = this.free;
      this.free = this.sibling(node);
      return node;
    }
    if ((this.used + 1) * NODE > this.nodes.length) {
      const larger = new Int32Array(this.nodes.length * 2);
      larger.set(this.nodes);
      this.nodes = larger;
    }
    return this.used++;
  }
}

const CONFLICT = -2;
const ABSENT = -1;
