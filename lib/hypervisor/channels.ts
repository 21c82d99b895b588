/**
 * The table of a domain's event channels: records, states, allocation of ports.
 *
 * Locks (two kinds, both read-write; see `event-channel.ts` for who takes which):
 * - the domain's event_lock: held for writing by everything in this module that changes something;
 * - the channel's own lock: held for writing around each change of its state, which goes from or to free or unbound.
 * When both are held, event_lock was taken first.
 *
 * Leaves out: growing the table in memory. Records for every port the domain may have exist from the start; the number
 * of valid ports grows as in Xen, in steps of 64.
 *
 * @source xen/common/event_channel.c (evtchn_allocate_port, get_free_port, evtchn_free)
 */
import { Errno } from '../abi/errno';
import { ECS_FREE, ECS_RESERVED } from '../abi/event-channel';
import type { HvDomain, HvVcpu } from './machine';
import type { PortAbis } from './port-ops';
import {
  CHANNEL_LOCK,
  CHANNEL_NOTIFY_VCPU_ID,
  CHANNEL_REMOTE_DOMID,
  CHANNEL_REMOTE_PORT,
  CHANNEL_STATE,
  DOMAIN_ACTIVE_EVTCHNS,
  DOMAIN_ALIVE,
  DOMAIN_EVENT_LOCK,
  DOMAIN_FIRST_FREE_EVTCHN,
  DOMAIN_VALID_EVTCHNS,
  DOMAIN_XEN_EVTCHNS,
  EVTCHNS_PER_BUCKET,
  STATE_MASK,
  XEN_CONSUMER,
} from './state-layout';

// Copies in this module: constants to the compiler, where an import is a property that is looked up per event.
const LOCK = CHANNEL_LOCK;
const STATE = CHANNEL_STATE;
const NOTIFY_VCPU_ID = CHANNEL_NOTIFY_VCPU_ID;
const REMOTE_DOMID = CHANNEL_REMOTE_DOMID;
const REMOTE_PORT = CHANNEL_REMOTE_PORT;

/** True for a state a guest may do something with: in use, and not by the hypervisor. */
export function isUsable(state: number): boolean {
  return state > ECS_RESERVED && (state & XEN_CONSUMER) === 0;
}

/** True for a channel whose events are the hypervisor's. */
export function consumerIsXen(state: number): boolean {
  return (state & XEN_CONSUMER) !== 0;
}

/** The ECS_* number in a state word. */
export function ecsOf(state: number): number {
  return state & STATE_MASK;
}

export class Channels {
  constructor(private readonly abis: PortAbis) {}

  /** State word of a valid port. */
  state(domain: HvDomain, port: number): number {
    return domain.state.read32(domain.channelAddress(port) + STATE);
  }

  remoteDomid(domain: HvDomain, port: number): number {
    return domain.state.read32(domain.channelAddress(port) + REMOTE_DOMID);
  }

  /** interdomain: the peer's port; pirq and virq: the number. */
  remotePort(domain: HvDomain, port: number): number {
    return domain.state.read32(domain.channelAddress(port) + REMOTE_PORT);
  }

  /**
   * The vCPU that later events of the port notify. EVTCHNOP_bind_vcpu changes it under event_lock; senders read it
   * without that lock, so they may announce an event to the vCPU it was bound to a moment ago.
   */
  notifyVcpu(domain: HvDomain, port: number): HvVcpu {
    return domain.vcpus[domain.state.read32(domain.channelAddress(port) + NOTIFY_VCPU_ID)] as HvVcpu;
  }

  setNotifyVcpu(domain: HvDomain, port: number, vcpuId: number): void {
    domain.state.write32(domain.channelAddress(port) + NOTIFY_VCPU_ID, vcpuId);
  }

  readLock(domain: HvDomain, port: number): void {
    domain.state.readLock(domain.channelAddress(port) + LOCK);
  }

  readTrylock(domain: HvDomain, port: number): boolean {
    return domain.state.readTrylock(domain.channelAddress(port) + LOCK);
  }

  readUnlock(domain: HvDomain, port: number): void {
    domain.state.readUnlock(domain.channelAddress(port) + LOCK);
  }

  writeLock(domain: HvDomain, port: number): void {
    domain.state.writeLock(domain.channelAddress(port) + LOCK);
  }

  writeUnlock(domain: HvDomain, port: number): void {
    domain.state.writeUnlock(domain.channelAddress(port) + LOCK);
  }

  /** Locks two channels for writing: the one of the domain that comes first in the machine, then by port. */
  writeLockBoth(a: HvDomain, portA: number, b: HvDomain, portB: number): void {
    if (a.index < b.index || (a === b && portA < portB)) {
      this.writeLock(a, portA);
      this.writeLock(b, portB);
    } else {
      this.writeLock(b, portB);
      this.writeLock(a, portA);
    }
  }

  writeUnlockBoth(a: HvDomain, portA: number, b: HvDomain, portB: number): void {
    this.writeUnlock(a, portA);
    this.writeUnlock(b, portB);
  }

  lockEvents(domain: HvDomain): void {
    domain.state.writeLock(DOMAIN_EVENT_LOCK);
  }

  unlockEvents(domain: HvDomain): void {
    domain.state.writeUnlock(DOMAIN_EVENT_LOCK);
  }

  /** Takes the event locks of two domains, which may be the same one, in the machine's order. */
  lockEventsOfBoth(a: HvDomain, b: HvDomain): void {
    if (a.index <= b.index) this.lockEvents(a);
    if (a !== b) this.lockEvents(b);
    if (a.index > b.index) this.lockEvents(a);
  }

  unlockEventsOfBoth(a: HvDomain, b: HvDomain): void {
    this.unlockEvents(a);
    if (a !== b) this.unlockEvents(b);
  }

  /**
   * Reserves the lowest free port (under the FIFO ABI, the lowest that is on no queue any more); until its state is set it has
   * to be given back with {@link giveBack} or used.
   * Precondition: event_lock held for writing.
   * @returns the port, -EINVAL for a dying domain, -ENOSPC when there is none left
   */
  allocate(domain: HvDomain): number {
    const { state } = domain;
    if (domain.status() !== DOMAIN_ALIVE) return -Errno.EINVAL;
    const ports = this.abis.ofDomain(domain);
    const valid = state.read32(DOMAIN_VALID_EVTCHNS);
    const hint = state.read32(DOMAIN_FIRST_FREE_EVTCHN);
    const free = this.nextFree(domain, hint, valid);
    let port = free;
    while (port < valid && ports.isBusy(domain, port)) port = this.nextFree(domain, port + 1, valid);
    if (port > domain.config.maxPort || port >= ports.capacity(domain)) return -Errno.ENOSPC;
    const first = port === free ? port + 1 : free;
    if (first !== hint) state.write32(DOMAIN_FIRST_FREE_EVTCHN, first);
    // The records beyond are zero already, so publishing the count is all there is to do.
    if (port === valid) state.store32(DOMAIN_VALID_EVTCHNS, valid + EVTCHNS_PER_BUCKET);
    this.count(domain, DOMAIN_ACTIVE_EVTCHNS, 1);
    return port;
  }

  /** Returns a port that {@link allocate} reserved and nobody used. */
  giveBack(domain: HvDomain, port: number): void {
    this.noteFree(domain, port);
    this.count(domain, DOMAIN_ACTIVE_EVTCHNS, -1);
  }

  /**
   * Brings a reserved port into use. Preconditions: event_lock held; the channel's lock is taken here.
   * @param state - ECS_*, or'ed with XEN_CONSUMER where it applies; the mark of the domain's ABI is added
   */
  connect(
    domain: HvDomain,
    port: number,
    state: number,
    notifyVcpuId: number,
    remoteDomid: number,
    remotePort: number,
  ): void {
    this.writeLock(domain, port);
    this.open(domain, port, state, notifyVcpuId, remoteDomid, remotePort);
    this.writeUnlock(domain, port);
  }

  /**
   * As {@link connect}. Preconditions: event_lock and the channel's lock held for writing.
   * @returns the state word
   */
  open(
    domain: HvDomain,
    port: number,
    state: number,
    notifyVcpuId: number,
    remoteDomid: number,
    remotePort: number,
  ): number {
    const marked = this.abis.mark(domain, state);
    this.abis.of(marked).init(domain, port);
    this.write(domain, port, marked, notifyVcpuId, remoteDomid, remotePort);
    return marked;
  }

  /** Writes a whole record. Preconditions: event_lock and the channel's lock held for writing. */
  write(
    domain: HvDomain,
    port: number,
    state: number,
    notifyVcpuId: number,
    remoteDomid: number,
    remotePort: number,
  ): void {
    const channel = domain.channelAddress(port);
    domain.state.write32(channel + NOTIFY_VCPU_ID, notifyVcpuId);
    domain.state.write32(channel + REMOTE_DOMID, remoteDomid);
    domain.state.write32(channel + REMOTE_PORT, remotePort);
    domain.state.write32(channel + STATE, state);
  }

  /** Adds to the number of channels the hypervisor itself consumes. Precondition: event_lock held. */
  countXenConsumer(domain: HvDomain, change: number): void {
    this.count(domain, DOMAIN_XEN_EVTCHNS, change);
  }

  /**
   * Frees a channel: clears its pending bit, forgets its binding, goes back to vCPU 0. Mask bit, selectors and upcall
   * flags stay as they are. Preconditions: event_lock and the channel's lock held for writing.
   */
  free(domain: HvDomain, port: number): void {
    const state = this.state(domain, port);
    if (isUsable(state)) this.abis.of(state).clearPending(domain, port);
    if (consumerIsXen(state)) this.countXenConsumer(domain, -1);
    this.count(domain, DOMAIN_ACTIVE_EVTCHNS, -1);
    this.noteFree(domain, port);
    // The state goes first here, and last in `write`: at every instant it tells whether the other fields mean anything.
    const channel = domain.channelAddress(port);
    domain.state.write32(channel + STATE, ECS_FREE);
    domain.state.write32(channel + NOTIFY_VCPU_ID, 0);
    domain.state.write32(channel + REMOTE_DOMID, 0);
    domain.state.write32(channel + REMOTE_PORT, 0);
  }

  /** The first free channel from `port` on; `valid` if there is none. */
  private nextFree(domain: HvDomain, port: number, valid: number): number {
    let next = port;
    while (next < valid && this.state(domain, next) !== ECS_FREE) next++;
    return next;
  }

  private noteFree(domain: HvDomain, port: number): void {
    if (port < domain.state.read32(DOMAIN_FIRST_FREE_EVTCHN)) domain.state.write32(DOMAIN_FIRST_FREE_EVTCHN, port);
  }

  private count(domain: HvDomain, counter: number, change: number): void {
    domain.state.write32(counter, domain.state.read32(counter) + change);
  }
}
