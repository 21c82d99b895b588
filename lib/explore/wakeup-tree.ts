/**
 * Wakeup trees: per depth of the current execution, the schedules still to be explored from there. A node is a
 * step (actor, footprint); its children follow it; siblings are explored in order. All trees share one pool.
 *
 * After Abdulla, Aronis, Jonsson, Sagonas: Source Sets (JACM 64(4), 2017), section on optimal DPOR.
 */

/** A nondeterministic choice: the value, and how many there were to choose from (at most 255). */
export function choiceOf(value: number, count: number): number {
  return (count << 8) | value;
}

export function choiceValue(choice: number): number {
  return choice & 0xff;
}

export function choiceCount(choice: number): number {
  return choice >>> 8;
}

/** See {@link StepSequence.find}. */
export const CONFLICT = -2;
export const ABSENT = -1;

/** Which steps of a sequence may not be swapped. */
export interface StepOrder {
  /** Whether one executed event has to stay before another. */
  ordered(event: number, later: number): boolean;
  dependent(actor: number, foot: number, other: number, otherFoot: number): boolean;
}

/** A sequence of steps to be explored: events by actor and footprint. */
export class StepSequence {
  actors = new Int32Array(64);
  feet = new Int32Array(64);
  /** What a nondeterministic choice comes to, see {@link choiceOf}, or -1 for every other step. */
  choices = new Int32Array(64);
  /** The events, as {@link StepOrder.ordered} knows them. */
  events = new Int32Array(64);
  /** 1 for the steps that matter, see {@link reduce}. */
  private marks = new Int32Array(64);
  length = 0;

  constructor(private readonly order: StepOrder) {}

  clear(): void {
    this.length = 0;
  }

  push(actor: number, foot: number, choice: number, event: number): void {
    if (this.length === this.actors.length) this.grow();
    const at = this.length++;
    this.actors[at] = actor;
    this.feet[at] = foot;
    this.choices[at] = choice;
    this.events[at] = event;
    this.marks[at] = 0;
  }

  /** Becomes the same as another. */
  copy({ actors, feet, choices, events, length }: StepSequence): void {
    this.length = 0;
    for (let at = 0; at < length; at++) {
      this.push(actors[at] as number, feet[at] as number, choices[at] as number, events[at] as number);
    }
  }

  remove(at: number): void {
    this.length--;
    for (let step = at; step < this.length; step++) this.move(step + 1, step);
  }

  /** The step at which {@link find} met a conflict. */
  conflict = 0;

  /** Where the sequence has a step as one that could come first; ABSENT if the step commutes with all of it; else CONFLICT. */
  find(actor: number, foot: number, choice: number): number {
    for (let at = 0; at < this.length; at++) {
      const other = this.actors[at] as number;
      this.conflict = at;
      // Another value of the same choice is another step.
      if (other === actor) return this.choices[at] === choice ? at : CONFLICT;
      if (this.order.dependent(actor, foot, other, this.feet[at] as number)) return CONFLICT;
    }
    return ABSENT;
  }

  /** This step must stay when the sequence is reduced, and what it follows from. */
  mark(at: number): void {
    this.marks[at] = 1;
  }

  isMarked(at: number): boolean {
    return this.marks[at] === 1;
  }

  /** Leaves out all but the steps marked and those they follow from. */
  reduce(): void {
    const { marks, length } = this;
    for (let at = length - 2; at >= 0; at--) {
      for (let later = at + 1; later < length && marks[at] === 0; later++) {
        if (marks[later] === 1 && this.precedes(at, later)) marks[at] = 1;
      }
    }
    this.length = 0;
    for (let at = 0; at < length; at++) if (marks[at] === 1) this.move(at, this.length++);
  }

  /** Whether a step may not come after another that follows in the sequence. */
  precedes(at: number, later: number): boolean {
    const { actors, feet, events, order } = this;
    const actor = actors[at] as number;
    const other = actors[later] as number;
    if (actor === other || order.ordered(events[at] as number, events[later] as number)) return true;
    return order.dependent(actor, feet[at] as number, other, feet[later] as number);
  }

  private move(from: number, to: number): void {
    this.actors[to] = this.actors[from] as number;
    this.feet[to] = this.feet[from] as number;
    this.choices[to] = this.choices[from] as number;
    this.events[to] = this.events[from] as number;
    this.marks[to] = this.marks[from] as number;
  }

  private grow(): void {
    this.actors = twice(this.actors);
    this.feet = twice(this.feet);
    this.choices = twice(this.choices);
    this.events = twice(this.events);
    this.marks = twice(this.marks);
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
const CHOICE = 2;
const CHILD = 3;
const SIBLING = 4;

export class WakeupForest {
  private nodes = new Int32Array(NODE * 256);
  private free = 0;
  private used = 1;

  actor(node: number): number {
    return this.nodes[node * NODE + ACTOR] as number;
  }

  foot(node: number): number {
    return this.nodes[node * NODE + FOOT] as number;
  }

  /** See {@link choiceOf}; -1 if the step is none. */
  choice(node: number): number {
    return this.nodes[node * NODE + CHOICE] as number;
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
   * beginning of) an extension of it is there already. Of the sequence only what is marked, what keeps it apart from the schedules
   * before it in the tree, and what these follow from: a shorter way to the same, and more is found on the way.
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
        const at = this.find(node, sequence);
        if (at !== CONFLICT) {
          if (at !== ABSENT) sequence.remove(at);
          found = node;
          break;
        }
        sequence.mark(sequence.conflict);
        last = node;
      }
      if (found === 0) {
        sequence.reduce();
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

  /**
   * Whether {@link insert} would leave the tree as it is.
   * @param sequence - used up
   */
  holds(head: number, sequence: StepSequence): boolean {
    for (let list = head; ; ) {
      let at = CONFLICT;
      let node = list;
      for (; node !== 0; node = this.sibling(node)) {
        at = this.find(node, sequence);
        if (at !== CONFLICT) break;
      }
      if (node === 0) return false;
      if (at !== ABSENT) sequence.remove(at);
      list = this.child(node);
      if (list === 0 || sequence.length === 0) return true;
    }
  }

  /** The actors of a list's nodes. */
  actors(head: number): number {
    let actors = 0;
    for (let node = head; node !== 0; node = this.sibling(node)) actors |= 1 << this.actor(node);
    return actors;
  }

  /**
   * Makes a node.
   * @param choice - see {@link choiceOf}
   * @param child - first of the nodes below it
   * @param sibling - the next on its list
   */
  make(actor: number, foot: number, choice: number, child: number, sibling: number): number {
    const node = this.allocate();
    const slot = node * NODE;
    this.nodes[slot + ACTOR] = actor;
    this.nodes[slot + FOOT] = foot;
    this.nodes[slot + CHOICE] = choice;
    this.nodes[slot + CHILD] = child;
    this.nodes[slot + SIBLING] = sibling;
    return node;
  }

  /** Adds a sequence before the list `head`, whatever is there. Returns the new head. */
  prepend(head: number, sequence: StepSequence): number {
    const first = this.chain(sequence);
    this.nodes[first * NODE + SIBLING] = head;
    return first;
  }

  private find(node: number, sequence: StepSequence): number {
    return sequence.find(this.actor(node), this.foot(node), this.choice(node));
  }

  /** Makes a branch of the whole sequence; returns its first node. */
  private chain(sequence: StepSequence): number {
    let below = 0;
    for (let at = sequence.length - 1; at >= 0; at--) {
      const { actors, feet, choices } = sequence;
      below = this.make(actors[at] as number, feet[at] as number, choices[at] as number, below, 0);
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
