/**
 * xenstore as a kernel uses it: paths and values, watches, transactions. Every call sleeps until xenstored has answered, so none
 * may be made from a handler of an event channel.
 *
 * Values are text, UTF-8 on the way.
 *
 * @source Linux, drivers/xen/xenbus/xenbus_xs.c
 */
import type { Events } from './events';
import type { Vcpu } from './vcpu';
import { type WatchEvent, XenstoreClient, XenstoreError } from './xenstore-client';

/** What can be done with nodes, at once or in a transaction. Each call throws XenstoreError. */
export class XenstoreNodes {
  constructor(
    protected readonly client: XenstoreClient,
    protected readonly txId: number,
  ) {}

  /** @throws XenstoreError ENOENT, EACCES */
  read(path: string): string {
    return this.client.decode(this.ask('XS_READ', path, `${path}\0`));
  }

  /** A node's value; undefined if there is none. */
  readIfExists(path: string): string | undefined {
    try {
      return this.read(path);
    } catch (error) {
      if (error instanceof XenstoreError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Creates what is missing of the path. */
  write(path: string, value: string | number): void {
    this.ask('XS_WRITE', path, `${path}\0${value}`);
  }

  mkdir(path: string): void {
    this.ask('XS_MKDIR', path, `${path}\0`);
  }

  /** Removes a node and all below it. Nothing happens if there is none but its parent. */
  rm(path: string): void {
    this.ask('XS_RM', path, `${path}\0`);
  }

  /** Names of the children, however many there are. */
  directory(path: string): string[] {
    try {
      return this.list(this.ask('XS_DIRECTORY', path, `${path}\0`));
    } catch (error) {
      if (!(error instanceof XenstoreError) || error.code !== 'E2BIG') throw error;
      return this.directoryInParts(path);
    }
  }

  /** `n1`, `r2`: the first names the owner, and what everybody else may: none, read, write, both. */
  getPermissions(path: string): string[] {
    return this.list(this.ask('XS_GET_PERMS', path, `${path}\0`));
  }

  setPermissions(path: string, permissions: readonly string[]): void {
    this.ask('XS_SET_PERMS', path, [path, ...permissions, ''].join('\0'));
  }

  /** A list too long for one answer; read again from the start if it changes in between. */
  private directoryInParts(path: string): string[] {
    for (;;) {
      let names = '';
      let generation: string | undefined;
      for (;;) {
        const text = this.client.decode(this.ask('XS_DIRECTORY_PART', path, `${path}\0${names.length}\0`));
        const end = text.indexOf('\0') + 1;
        if (generation !== undefined && generation !== text.slice(0, end)) break;
        generation = text.slice(0, end);
        names += text.slice(end);
        if (names.endsWith('\0\0') || names === '\0') return names.split('\0').slice(0, -2);
      }
    }
  }

  protected list(payload: Uint8Array): string[] {
    return this.client.decode(payload).split('\0').slice(0, -1);
  }

  protected ask(name: Parameters<XenstoreClient['request']>[0], subject: string, payload: string): Uint8Array {
    return this.client.request(name, this.client.encode(payload), subject, this.txId);
  }
}

/** What is called when a watch fires: on the vCPU that has set it, from {@link Xenstore.dispatch} and its relatives. */
export type WatchHandler = (path: string) => void;

/** A watch that is set. */
export interface Watch {
  readonly path: string;
  readonly token: string;
  readonly handler: WatchHandler | undefined;
}

export class Xenstore extends XenstoreNodes {
  readonly vcpu: Vcpu;
  private readonly watches = new Map<string, Watch>();
  private tokens = 0;
  private readonly missed: WatchEvent[] = [];

  /**
   * @param events - of the vCPU that uses this object. Each vCPU makes its own; the first of them serves the port,
   * and has to live until the last of them is done with the store
   * @throws XenstoreError ENODEV: the domain was built without a store
   */
  constructor(events: Events) {
    super(new XenstoreClient(events), 0);
    this.vcpu = events.vcpu;
  }

  /** `/local/domain/<domid>`: what relative paths of that domain are relative to. */
  getDomainPath(domid: number): string {
    return this.list(this.ask('XS_GET_DOMAIN_PATH', String(domid), `${domid}\0`))[0] ?? '';
  }

  /**
   * Runs `change`, and commits what it has done as a whole. If something it has read was changed by somebody else meanwhile,
   * all of it is undone and `change` runs again.
   * @param change - may throw, which undoes it
   */
  transaction<T>(change: (nodes: XenstoreNodes) => T): T {
    for (;;) {
      const id = Number(this.list(this.ask('XS_TRANSACTION_START', 'transaction', '\0'))[0]);
      const result = this.attempt(id, change);
      try {
        this.end(id, 'T');
        return result;
      } catch (error) {
        if (!(error instanceof XenstoreError) || error.code !== 'EAGAIN') throw error;
      }
    }
  }

  /**
   * Sets a watch: it fires once at once, and then whenever the node, or anything below it, changes, is created or removed.
   * It may fire for nothing. So: set the watch first, read afterwards, read again whenever it fires.
   * @param path - @introduceDomain and @releaseDomain are told of domains that come and go
   */
  watch(path: string, handler?: WatchHandler): Watch {
    const watch: Watch = { path, token: `${this.vcpu.id}:${this.tokens++}`, handler };
    this.watches.set(watch.token, watch);
    this.ask('XS_WATCH', path, `${path}\0${watch.token}\0`);
    return watch;
  }

  unwatch({ path, token }: Watch): void {
    this.watches.delete(token);
    this.ask('XS_UNWATCH', path, `${path}\0${token}\0`);
  }

  /** Calls the handlers of watches that have fired. Returns the number of events. */
  dispatch(): number {
    let count = 0;
    for (let event = this.take(); event !== undefined; event = this.take()) {
      this.handle(event);
      count++;
    }
    return count;
  }

  /**
   * Sleeps until something of the driver's own has happened, or until a watch may have fired: then see {@link dispatch}.
   * @param condition - made true by an upcall of this vCPU
   * @throws XenstoreError ECONNRESET from {@link dispatch}, if the store has cut this domain off
   */
  waitForEventOr(condition: () => boolean): void {
    this.client.waitForEventOr(() => condition() || this.missed.length > 0);
  }

  /** Sleeps until a watch of this vCPU has fired, calls its handler if it has one, and tells of it. */
  nextEvent(): WatchEvent {
    for (;;) {
      const event = this.take() ?? this.client.awaitEvent();
      if (this.handle(event)) return event;
    }
  }

  /**
   * Sleeps until a node's value is accepted: watches it first, then looks, then looks again whenever it changes.
   * @param accepts - of the value, undefined while there is no node
   */
  waitFor<T extends string | undefined>(path: string, accepts: (value: string | undefined) => value is T): T;
  waitFor(path: string, accepts?: (value: string | undefined) => boolean): string;
  waitFor(
    path: string,
    accepts: (value: string | undefined) => boolean = (value) => value !== undefined,
  ): string | undefined {
    const watch = this.watch(path);
    for (;;) {
      const value = this.readIfExists(path);
      if (accepts(value)) {
        this.unwatch(watch);
        return value;
      }
      while (this.nextEvent().token !== watch.token);
    }
  }

  /** Begins anew when the store has cut this domain off (XenstoreError ECONNRESET): watches and transactions are gone. */
  reconnect(): void {
    this.client.reconnect();
    this.watches.clear();
  }

  private take(): WatchEvent | undefined {
    if (this.client.takeOverflow()) {
      for (const { path, token } of this.watches.values()) this.missed.push({ path, token });
    }
    return this.missed.shift() ?? this.client.takeEvent();
  }

  /** False for an event of a watch that is no longer set. */
  private handle({ path, token }: WatchEvent): boolean {
    const watch = this.watches.get(token);
    watch?.handler?.(path);
    return watch !== undefined;
  }

  private attempt<T>(id: number, change: (nodes: XenstoreNodes) => T): T {
    try {
      return change(new XenstoreNodes(this.client, id));
    } catch (thrown) {
      // Only what is the guest's own: an engine that unwinds this vCPU must not be held up.
      if (thrown instanceof Error) this.end(id, 'F');
      throw thrown;
    }
  }

  private end(id: number, how: 'T' | 'F'): void {
    this.client.request('XS_TRANSACTION_END', this.client.encode(`${how}\0`), 'transaction', id);
  }
}
