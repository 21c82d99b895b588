/**
 * Laying a wire to another domain: what two network front ends have to tell each other before they can talk, through
 * xenstore, as nobody else knows both.
 *
 * Front to front, without a driver domain in between: each end has a transmit ring of its own, which it grants to the other,
 * and serves the other's. One event channel joins them; the domain with the lower number allocates it. Each end
 * publishes below `data/net/<peer>` of its own, readable for the peer, and in the states of xenbus:
 *
 *   tx-ring-ref     grant of the page of its transmit ring
 *   event-channel   its port, of the end that allocates it
 *   state           Initialised: all this stands; Connected: the other's is in use
 *
 * The state is written last, in a transaction with the rest: who sees it sees all. A watch stands before the first look, so
 * no change is missed. Closing goes past the store, see `NetFront.close`.
 *
 * @source xen/include/public/io/netif.h, xenbus.h; tools/libs/vchan/init.c (the same between two guests)
 */
import { DOMID_SELF } from '../abi/domain-ids';
import type { Events } from './events';
import { ForeignFrames, GrantTable } from './grant-table';
import { Frames } from './library-page';
import { NET_CLOSED } from './net-ring';
import { initialiseRing } from './ring';
import type { Xenstore } from './xenstore';
import { XenstoreError } from './xenstore-client';

/** xenbus_state. */
const XENBUS = { Initialised: '3', Connected: '4', Closed: '6' } as const;
const FRAME_BYTES = 4096;

/** One end of a wire, connected. */
export interface Wire {
  readonly peer: number;
  readonly port: number;
  /** Address of the own transmit ring. */
  readonly transmit: number;
  /** Address of the peer's transmit ring, mapped. */
  readonly receive: number;
}

/** The other end says what makes no sense, or the wire is closed. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code = 'NET_WIRE';
}

/**
 * Lays a wire to a domain that does the same; sleeps until it has. The event channel's handler is `wake`.
 * @param peer - number of the other domain
 * @throws WireError, GrantError, HypercallError: what the other end has published cannot be used
 */
export function layWire(events: Events, store: Xenstore, peer: number, wake: () => void): Wire {
  const { vcpu } = events;
  const allocates = vcpu.domain.id < peer;
  const transmit = new Frames(vcpu).take();
  initialiseRing(vcpu.memory, transmit);
  vcpu.memory.write32(transmit + NET_CLOSED, 0);
  const ringRef = new GrantTable(vcpu).grantAccess(peer, transmit / FRAME_BYTES);
  const allocated = allocates ? vcpu.hypercall.evtchn.allocUnbound(DOMID_SELF, peer) : 0;
  if (allocates) events.bindEvtchn(allocated, wake);

  const own = `data/net/${peer}`;
  store.transaction((nodes) => {
    nodes.mkdir(own);
    nodes.setPermissions(own, [`n${vcpu.domain.id}`, `r${peer}`]);
    nodes.write(`${own}/tx-ring-ref`, ringRef);
    if (allocates) nodes.write(`${own}/event-channel`, allocated);
    nodes.write(`${own}/state`, XENBUS.Initialised);
  });

  const theirs = `/local/domain/${peer}/data/net/${vcpu.domain.id}`;
  waitForState(store, `${theirs}/state`, (state) => state >= XENBUS.Initialised);
  const theirRef = number(store.read(`${theirs}/tx-ring-ref`));
  const receive = new ForeignFrames(vcpu).mapGrant(peer, theirRef).address;
  const port = allocates
    ? allocated
    : events.bindInterdomain(peer, number(store.read(`${theirs}/event-channel`)), wake);
  store.write(`${own}/state`, XENBUS.Connected);
  waitForState(store, `${theirs}/state`, (state) => state >= XENBUS.Connected);
  return { peer, port, transmit, receive };
}

/** The node may not exist yet, or not be readable yet: the watch fires when that changes. */
function waitForState(store: Xenstore, path: string, accepts: (state: string) => boolean): void {
  const watch = store.watch(path);
  for (;;) {
    const state = readable(store, path);
    if (state === XENBUS.Closed) throw new WireError(`${path}: the other end is closed`);
    if (state !== undefined && accepts(state)) break;
    while (store.nextEvent().token !== watch.token);
  }
  store.unwatch(watch);
}

function readable(store: Xenstore, path: string): string | undefined {
  try {
    return store.readIfExists(path);
  } catch (error) {
    if (error instanceof XenstoreError && error.code === 'EACCES') return undefined;
    throw error;
  }
}

function number(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new WireError(`the other end has published '${text.slice(0, 20)}' for a number`);
  return Number(text);
}
