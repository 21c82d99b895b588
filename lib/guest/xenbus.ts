/**
 * One end of a split device as its driver sees it: the nodes of its own end, those of the other, and the dance of their states.
 *
 * Each end writes its own `state` and watches the other's. A driver reacts to a state, never to the event: watches fire for
 * nothing, and two changes may come as one event.
 *
 * @source Linux, drivers/xen/xenbus/xenbus_client.c, xenbus_probe.c
 */
import { XenbusState, type XenbusStateNumber } from '../abi';
import type { Watch, Xenstore, XenstoreNodes } from './xenstore';

const STATES: readonly number[] = Object.values(XenbusState);

/** What a `state` node says; unknown for anything else, and for no node. */
export function parseXenbusState(text: string | undefined): XenbusStateNumber {
  const number = /^[0-9]$/.test(text ?? '') ? Number(text) : XenbusState.XenbusStateUnknown;
  return (STATES.includes(number) ? number : XenbusState.XenbusStateUnknown) as XenbusStateNumber;
}

export class XenbusDevice {
  /** The other end's directory. */
  readonly otherEnd: string;
  readonly otherEndId: number;
  /** On the other end's state, once somebody has waited for it. */
  private watched: Watch | undefined;
  /** What this end has said last. */
  private said: XenbusStateNumber | undefined;

  /**
   * @param node - this end's directory: `device/vbd/51712` of a front end, `backend/vbd/2/51712` of a back end
   * @throws XenstoreError ENOENT: no device has been made there
   */
  constructor(
    readonly store: Xenstore,
    readonly node: string,
  ) {
    const isBackend = /^(backend\/|\/local\/domain\/[0-9]+\/backend\/)/.test(node);
    const other = isBackend ? 'frontend' : 'backend';
    this.otherEnd = store.read(`${node}/${other}`);
    this.otherEndId = Number(store.read(`${node}/${other}-id`));
  }

  /** A node of this end, as text. */
  read(name: string): string | undefined {
    return this.store.readIfExists(`${this.node}/${name}`);
  }

  /** A node of the other end. */
  readOther(name: string): string | undefined {
    return this.store.readIfExists(`${this.otherEnd}/${name}`);
  }

  /**
   * Publishes nodes of this end as a whole, and its state with them if one is given: nobody sees the state without the nodes.
   * @param nodes - by name
   */
  publish(nodes: Readonly<Record<string, string | number>>, state?: XenbusStateNumber): void {
    this.store.transaction((space: XenstoreNodes) => {
      for (const [name, value] of Object.entries(nodes)) space.write(`${this.node}/${name}`, value);
      if (state !== undefined) space.write(`${this.node}/state`, state);
    });
    this.said = state ?? this.said;
  }

  state(): XenbusStateNumber {
    return parseXenbusState(this.read('state'));
  }

  /** Says where this end is. Nothing happens if it has said so before. */
  switchState(state: XenbusStateNumber): void {
    if (this.said === state) return;
    this.store.write(`${this.node}/state`, state);
    this.said = state;
  }

  otherState(): XenbusStateNumber {
    return parseXenbusState(this.readOther('state'));
  }

  /**
   * The watch on the other end's state, set when it is first asked for: its events tell that the state may have changed, see
   * Xenstore.nextEvent.
   */
  get watch(): Watch {
    this.watched ??= this.store.watch(`${this.otherEnd}/state`);
    return this.watched;
  }

  /** The device is gone: its other end is of no interest any more. */
  unwatch(): void {
    if (this.watched !== undefined) this.store.unwatch(this.watched);
    this.watched = undefined;
  }

  /**
   * Sleeps until the other end is in one of these states. The watch is there before the first look: a change after a look is
   * an event, one before it makes an event for nothing.
   * @returns which
   */
  waitForOther(...states: readonly XenbusStateNumber[]): XenbusStateNumber {
    const { token } = this.watch;
    for (;;) {
      const state = this.otherState();
      if (states.includes(state)) return state;
      while (this.store.nextEvent().token !== token);
    }
  }
}
