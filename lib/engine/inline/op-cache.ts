/**
 * What an actor does next is a function of the results it has had so far. This tree remembers that function as
 * far as it has been seen: a node is a history, it holds the operation that follows, and its edges are the
 * results of that operation. An actor whose history is in the tree need not be run to learn its next step.
 *
 * The tree is bounded: once full it answers what it knows and learns nothing more. It gives itself up
 * when histories hardly ever repeat (long random runs), where learning costs more than it saves.
 */

/** Slots of a node: operation (4), first child, next sibling, result that leads here. */
const NODE = 8;
const TAG = 0;
const OPERAND = 1;
const EXPECTED = 2;
const EXTRA = 3;
const CHILD = 4;
const SIBLING = 5;
const VIA = 6;

/** Children of one node; an operation with more different results is not worth a linear search. */
const MAX_CHILDREN = 64;
const DEFAULT_CAPACITY = 1 << 19;
/** Look-ups after which a tree that finds too little is given up. */
const TRIAL = 20_000;

export class OpCache {
  private nodes = new Int32Array(NODE * 1024);
  private count: number;
  private lookups = 0;
  private hits = 0;
  /** Part of the look-ups that has to be answered for the tree to be worth its while. */
  minHitRate = 0.2;
  /** False once the cache has given itself up; nobody need ask it any more. */
  enabled = true;

  /** @param actors - node `a + 1` is the root of actor `a` */
  constructor(
    actors: number,
    private readonly capacity = DEFAULT_CAPACITY,
  ) {
    this.count = actors + 1;
  }

  /** The node of an actor that has had no result yet. */
  root(actor: number): number {
    return actor + 1;
  }

  /** True when the operation that follows this history is known. */
  known(node: number): boolean {
    return node > 0 && this.nodes[node * NODE + TAG] !== 0;
  }

  /** The node after `result`, or 0 when that history is new. */
  child(node: number, result: number): number {
    const nodes = this.nodes;
    this.lookups++;
    for (let next = nodes[node * NODE + CHILD] as number; next !== 0; next = nodes[next * NODE + SIBLING] as number) {
      if (nodes[next * NODE + VIA] === result) {
        this.hits++;
        return next;
      }
    }
    // Over the whole search: a part of it that is new throughout may be gone through again and again later.
    if (this.lookups >= TRIAL && this.hits < this.lookups * this.minHitRate) this.enabled = false;
    return 0;
  }

  /** Makes the node after `result`, its operation yet unknown; 0 when there is no room. */
  addChild(node: number, result: number): number {
    if (this.count >= this.capacity) return 0;
    let siblings = 0;
    let last = 0;
    for (let next = this.nodes[node * NODE + CHILD] as number; next !== 0; siblings++) {
      last = next;
      next = this.nodes[next * NODE + SIBLING] as number;
    }
    if (siblings >= MAX_CHILDREN) return 0;
    const added = this.count++;
    if ((added + 1) * NODE > this.nodes.length) this.grow();
    this.nodes[added * NODE + VIA] = result;
    this.nodes[last === 0 ? node * NODE + CHILD : last * NODE + SIBLING] = added;
    return added;
  }

  /** Records the operation that follows this history. */
  learn(node: number, tag: number, operand: number, expected: number, extra: number): void {
    const at = node * NODE;
    this.nodes[at + TAG] = tag;
    this.nodes[at + OPERAND] = operand;
    this.nodes[at + EXPECTED] = expected;
    this.nodes[at + EXTRA] = extra;
  }

  tag(node: number): number {
    return this.nodes[node * NODE + TAG] as number;
  }

  operand(node: number): number {
    return this.nodes[node * NODE + OPERAND] as number;
  }

  expected(node: number): number {
    return this.nodes[node * NODE + EXPECTED] as number;
  }

  extra(node: number): number {
    return this.nodes[node * NODE + EXTRA] as number;
  }

  private grow(): void {
    const larger = new Int32Array(this.nodes.length * 2);
    larger.set(this.nodes);
    this.nodes = larger;
  }
}
