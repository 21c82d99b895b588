/**
 * The nodes of the store, by path, as requests see them: directly, or through a transaction.
 *
 * A node is never changed but replaced; each replacement has a generation of its own. A transaction notes the generation of
 * every node it reads (or that there was none) and keeps its changes to itself; it can be committed if all these nodes are
 * still of the noted generation.
 *
 * @source tools/xenstored/transaction.c
 */
import type { Permissions } from './permissions';

export interface StoreNode {
  readonly value: string;
  readonly permissions: Permissions;
  /** Leaf names, in the order of their creation. */
  readonly children: readonly string[];
  readonly generation: number;
}

export type NodeData = Omit<StoreNode, 'generation'>;

/** Bytes that count for the quota: as of Xen's record, a header of 16 and 8 for each permission. */
export function sizeOf({ value, permissions, children }: NodeData): number {
  return 16 + permissions.length * 8 + value.length + children.reduce((sum, leaf) => sum + leaf.length + 1, 0);
}

/** What requests read and change. */
export interface NodeSpace {
  get(path: string): StoreNode | undefined;
  set(path: string, node: NodeData): void;
  delete(path: string): void;
  /** Nodes a domain owns. */
  ownedBy(id: number): number;
}

export class Nodes implements NodeSpace {
  /** Changes since `initial`; undefined: it was deleted. */
  private readonly changed = new Map<string, StoreNode | undefined>();
  private readonly owned: Map<number, number>;
  private generation: number;

  /** @param initial - never changed, so many stores may share it */
  constructor(private readonly initial: ReadonlyMap<string, StoreNode> = new Map()) {
    this.generation = initial.size;
    this.owned = new Map();
    for (const node of initial.values()) this.count(node, 1);
  }

  get(path: string): StoreNode | undefined {
    return this.changed.has(path) ? this.changed.get(path) : this.initial.get(path);
  }

  set(path: string, node: NodeData): void {
    this.replace(path, { ...node, generation: this.next() });
  }

  delete(path: string): void {
    this.replace(path, undefined);
  }

  ownedBy(id: number): number {
    return this.owned.get(id) ?? 0;
  }

  /** A generation nothing has had. */
  next(): number {
    this.generation++;
    return this.generation;
  }

  /** All there are. */
  *entries(): Iterable<readonly [string, StoreNode]> {
    for (const entry of this.initial) if (!this.changed.has(entry[0])) yield entry;
    for (const [path, node] of this.changed) if (node !== undefined) yield [path, node];
  }

  private replace(path: string, node: StoreNode | undefined): void {
    const old = this.get(path);
    if (old !== undefined) this.count(old, -1);
    if (node !== undefined) this.count(node, 1);
    this.changed.set(path, node);
  }

  private count({ permissions }: StoreNode, by: number): void {
    const owner = permissions[0]?.id ?? 0;
    this.owned.set(owner, (this.owned.get(owner) ?? 0) + by);
  }
}

/** What a transaction knows of a node. */
interface Accessed {
  /** As it was at the first access; undefined: there was none. */
  readonly original: StoreNode | undefined;
  now: StoreNode | undefined;
  modified: boolean;
  /** Watches to fire at the commit: those of the very node, or of its parents too. */
  fires: 'not' | 'exact' | 'all';
}

/** A change that a commit has made, in the order of the first accesses. */
export interface Committed {
  readonly path: string;
  readonly original: StoreNode | undefined;
  readonly fires: Accessed['fires'];
}

export class Transaction implements NodeSpace {
  /** A quota was exceeded, or something else that cannot be undone: it cannot be committed. */
  spoilt = false;
  private readonly accessed = new Map<string, Accessed>();
  private readonly owned = new Map<number, number>();

  constructor(private readonly nodes: Nodes) {}

  /** Nodes it has looked at. */
  get size(): number {
    return this.accessed.size;
  }

  get(path: string): StoreNode | undefined {
    return this.access(path).now;
  }

  set(path: string, node: NodeData): void {
    this.replace(path, { ...node, generation: this.nodes.next() });
  }

  delete(path: string): void {
    this.replace(path, undefined);
  }

  ownedBy(id: number): number {
    return this.nodes.ownedBy(id) + (this.owned.get(id) ?? 0);
  }

  /** Notes watches to fire at the commit. */
  fire(path: string, exact: boolean): void {
    const accessed = this.access(path);
    if (!exact) accessed.fires = 'all';
    else if (accessed.fires === 'not') accessed.fires = 'exact';
  }

  /** Domains that own more nodes than before. */
  grown(): number[] {
    return [...this.owned].filter(([, more]) => more > 0).map(([id]) => id);
  }

  /** Makes the changes. Returns them; undefined if a node it has read was changed meanwhile, and nothing is changed then. */
  commit(): readonly Committed[] | undefined {
    for (const [path, { original }] of this.accessed) {
      if (this.nodes.get(path)?.generation !== original?.generation) return undefined;
    }
    const changes: Committed[] = [];
    for (const [path, { original, now, modified, fires }] of this.accessed) {
      if (!modified) continue;
      if (now !== undefined) this.nodes.set(path, now);
      else if (original !== undefined) this.nodes.delete(path);
      changes.push({ path, original, fires });
    }
    return changes;
  }

  private access(path: string): Accessed {
    let accessed = this.accessed.get(path);
    if (accessed === undefined) {
      const original = this.nodes.get(path);
      accessed = { original, now: original, modified: false, fires: 'not' };
      this.accessed.set(path, accessed);
    }
    return accessed;
  }

  private replace(path: string, node: StoreNode | undefined): void {
    const accessed = this.access(path);
    this.count(accessed.now, -1);
    this.count(node, 1);
    accessed.now = node;
    accessed.modified = true;
  }

  private count(node: StoreNode | undefined, by: number): void {
    if (node === undefined) return;
    const owner = node.permissions[0]?.id ?? 0;
    this.owned.set(owner, (this.owned.get(owner) ?? 0) + by);
  }
}
