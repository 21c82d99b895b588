/**
 * The store: its nodes, its clients, and what a change means to both. Requests are served one after the other, each as a
 * whole, by `requests.ts`.
 *
 * Nothing here knows where clients are: see `connection.ts`.
 */
import type { Client, Watch } from './client';
import { failed, type XsError } from './errors';
import { type NodeData, type NodeSpace, type Nodes, type StoreNode, sizeOf, Transaction } from './nodes';
import { childOf, isBelow, leafOf, parentOf } from './paths';
import { accessOf, type Permissions, READ } from './permissions';
import type { QuotaName, Quotas } from './quotas';

export class Store {
  readonly clients = new Map<number, Client>();

  constructor(
    readonly nodes: Nodes,
    readonly quotas: Quotas,
  ) {}

  /** What a client may use; control domains whatever they like. */
  limit(client: Client, name: QuotaName): number {
    return client.privileged ? Number.POSITIVE_INFINITY : this.quotas.get(name, client.id);
  }

  /**
   * The node, if the client may do that with it. Who may not learn anything of the parents either is told EACCES, whether there is
   * a node or not.
   * @param access - all of these
   */
  find(client: Client, space: NodeSpace, path: string, access: number): StoreNode | { readonly error: XsError } {
    const node = space.get(path);
    if (node !== undefined && (accessOf(client, node.permissions) & access) === access) return node;
    let above = path;
    let parent: StoreNode | undefined;
    while (parent === undefined && above !== '/') {
      above = parentOf(above);
      parent = space.get(above);
    }
    const known = parent !== undefined && (accessOf(client, parent.permissions) & access) !== 0;
    return failed(node === undefined && known ? 'ENOENT' : 'EACCES') as { readonly error: XsError };
  }

  /** Replaces a node's data. Returns an error if it grows too large. */
  change(client: Client, space: NodeSpace, path: string, node: NodeData): XsError | undefined {
    if (sizeOf(node) > this.limit(client, 'node-size')) return 'ENOSPC';
    space.set(path, node);
    return undefined;
  }

  /**
   * Creates a node and the parents it lacks. They have the permissions of the nearest parent there was, but belong to an
   * unprivileged client that creates them.
   */
  create(client: Client, space: NodeSpace, path: string, value: string): XsError | undefined {
    const missing: string[] = [];
    let above = path;
    for (; space.get(above) === undefined; above = parentOf(above)) missing.push(above);
    const nearest = space.get(above) as StoreNode;
    if (space.ownedBy(client.id) + missing.length > this.limit(client, 'nodes')) return 'ENOSPC';
    const permissions = inherited(client, nearest.permissions);
    const nodes = missing.map((each, index): readonly [string, NodeData] => {
      const below = missing[index - 1];
      const children = below === undefined ? [] : [leafOf(below)];
      return [each, { value: index === 0 ? value : '', permissions, children }];
    });
    const top = missing.at(-1) as string;
    nodes.push([above, { ...nearest, children: [...nearest.children, leafOf(top)] }]);
    if (nodes.some(([, node]) => sizeOf(node) > this.limit(client, 'node-size'))) return 'ENOSPC';
    for (const [each, node] of nodes) space.set(each, node);
    return undefined;
  }

  /** Removes a node that there is, not the root, with all below it. Watches of what lies below are told of it, each once. */
  remove(space: NodeSpace, path: string): void {
    const parent = space.get(parentOf(path)) as StoreNode;
    this.removeBelow(space, path, path);
    const leaf = leafOf(path);
    space.set(parentOf(path), { ...parent, children: parent.children.filter((each) => each !== leaf) });
  }

  private removeBelow(space: NodeSpace, path: string, root: string): void {
    const node = space.get(path) as StoreNode;
    for (const leaf of node.children) this.removeBelow(space, childOf(path, leaf), root);
    space.delete(path);
    this.changed(space, path, node, path !== root);
  }

  /**
   * A node was changed, created or removed: fires watches, or has the transaction do so when it is committed.
   * @param node - as it is now, or was
   * @param exact - watches of the very node only
   * @param before - permissions that were taken away: who loses sight of the node is told
   */
  changed(space: NodeSpace, path: string, node: StoreNode, exact = false, before?: Permissions): void {
    if (space instanceof Transaction) space.fire(path, exact);
    else this.fire(path, node, exact, before);
  }

  /** Makes the changes of a transaction. Returns EAGAIN if what it has read is no longer so. */
  commit(client: Client, transaction: Transaction): XsError | undefined {
    if (transaction.spoilt) return 'ENOMEM';
    const grown = transaction.grown();
    if (grown.some((id) => transaction.ownedBy(id) > this.limit(client, 'nodes'))) return 'ENOSPC';
    const changes = transaction.commit();
    if (changes === undefined) return 'EAGAIN';
    for (const { path, original, fires } of changes) {
      if (fires !== 'not') this.fire(path, this.nodes.get(path), fires === 'exact', original?.permissions);
    }
    return undefined;
  }

  /** @introduceDomain or @releaseDomain has happened. */
  fireSpecial(name: string): void {
    this.fire(name, this.nodes.get(name), true);
  }

  /** A domain is no more: so are its nodes, and what others let it do. */
  forget(id: number): void {
    this.clients.delete(id);
    this.quotas.forget(id);
    for (const client of this.clients.values()) if (client.target === id) client.target = undefined;
    for (const [path, { permissions }] of [...this.nodes.entries()]) {
      const node = this.nodes.get(path);
      if (node === undefined) continue;
      if (permissions[0]?.id === id && path !== '/' && !path.startsWith('@')) this.remove(this.nodes, path);
      else if (permissions.some((each, index) => index > 0 && each.id === id)) {
        this.nodes.set(path, { ...node, permissions: permissions.filter((each, i) => i === 0 || each.id !== id) });
      }
    }
  }

  /** Whether every child has a node and every node is its parent's child. */
  isConsistent(): boolean {
    for (const [path, { children }] of this.nodes.entries()) {
      if (children.some((leaf) => this.nodes.get(childOf(path, leaf)) === undefined)) return false;
      if (path === '/' || path.startsWith('@')) continue;
      if (this.nodes.get(parentOf(path))?.children.includes(leafOf(path)) !== true) return false;
    }
    return true;
  }

  private fire(path: string, node: StoreNode | undefined, exact: boolean, before?: Permissions): void {
    for (const client of this.clients.values()) {
      const watches = client.watches.filter((watch) => matches(watch, path, exact));
      if (watches.length === 0 || !this.mayLearn(client, path, node, before)) continue;
      const most = this.limit(client, 'memory');
      for (const { prefix, token } of watches) client.notify(path.slice(prefix), token, most);
    }
  }

  /** Who may read a node, or could, or may read its parent, may learn that it has changed. */
  private mayLearn(client: Client, path: string, node: StoreNode | undefined, before?: Permissions): boolean {
    const reads = (permissions: Permissions | undefined): boolean =>
      permissions !== undefined && (accessOf(client, permissions) & READ) !== 0;
    if (reads(before)) return true;
    if (node === undefined) return false;
    return reads(node.permissions) || reads(this.nodes.get(parentOf(path))?.permissions);
  }
}

function matches(watch: Watch, path: string, exact: boolean): boolean {
  return exact ? watch.path === path : isBelow(path, watch.path);
}

function inherited(client: Client, permissions: Permissions): Permissions {
  const [owner, ...others] = permissions;
  if (client.privileged || owner === undefined) return permissions;
  return [{ id: client.id, access: owner.access }, ...others];
}
