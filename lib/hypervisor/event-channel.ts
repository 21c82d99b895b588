/**
 * EVTCHNOP_*: the operations of the event-channel hypercall, and what the hypervisor does with channels of its own.
 *
 * Checks are made in Xen's order with Xen's errno. Every method takes any JavaScript number as argument, returns a result
 * of 0 or more or a negated errno, and never throws for what it is given.
 *
 * Locks, in the order in which they are taken:
 * 1. event_lock of the domain, for writing by whatever changes channels, for reading by status. Of two domains, the one
 *    that comes first in the machine is locked first.
 * 2. The channel's lock: for reading by send and unmask, for writing around each change of state. Both ends of an
 *    interdomain channel are locked together, in a fixed order, when it is made or broken. Hence a sender that holds the
 *    near end's lock may use the far end without holding that one's: the link cannot go away.
 * 3. Delivery itself takes no further lock in the 2-level ABI; in the FIFO ABI those of the event's queues, see
 *    `event-fifo.ts`.
 *
 * The vCPU a channel notifies is not covered by the channel's lock: bind_vcpu changes it under event_lock, send reads the
 * far end's under the near end's lock. A send that races with a bind_vcpu may announce the event to the old vCPU after
 * bind_vcpu has returned, as in Xen.
 *
 * @source xen/common/event_channel.c
 */
import { DOMID_SELF } from '../abi/domain-ids';
import { Errno } from '../abi/errno';
import {
  ECS_INTERDOMAIN,
  ECS_IPI,
  ECS_PIRQ,
  ECS_UNBOUND,
  ECS_VIRQ,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
} from '../abi/event-channel';
import { toDomid } from './arguments';
import { ChannelBinding } from './channel-binding';
import { ChannelClosing } from './channel-closing';
import { type Channels, consumerIsXen, ecsOf, isUsable } from './channels';
import type { FifoControl } from './fifo-control';
import { type HvDomain, type HvVcpu, type Machine, mayControl } from './machine';
import type { Pirqs } from './pirq';
import type { PortAbis } from './port-ops';
import { DOMAIN_EVENT_LOCK, FIFO_CHANNEL, XEN_CONSUMER } from './state-layout';
import type { VcpuState } from './vcpu-state';
import { isGlobalVirq, isVcpuVirq, isVirq, type Virqs } from './virq';

/** What EVTCHNOP_status fills in. Fields that the status does not define are -1. */
export class PortStatus {
  /** EVTCHNSTAT_* */
  status = -1;
  vcpu = -1;
  dom = -1;
  port = -1;
  pirq = -1;
  virq = -1;
}

const EINVAL = -Errno.EINVAL;
// Copies in this module: constants to the compiler, where an import is a property that is looked up per event.
const IPI = ECS_IPI;
const INTERDOMAIN = ECS_INTERDOMAIN;
const UNBOUND = ECS_UNBOUND;
const FIFO = FIFO_CHANNEL;

export class EventChannels {
  private readonly binding: ChannelBinding;
  private readonly closing: ChannelClosing;

  constructor(
    private readonly machine: Machine,
    private readonly channels: Channels,
    private readonly abis: PortAbis,
    private readonly fifo: FifoControl,
    private readonly vcpuState: VcpuState,
    private readonly virqs: Virqs,
    pirqs: Pirqs,
  ) {
    this.binding = new ChannelBinding(channels, abis, virqs, pirqs);
    this.closing = new ChannelClosing(machine, channels, virqs, pirqs, fifo);
  }

  /** The vCPU's own test before it sleeps, see `vcpu-state.ts`. */
  upcallDeliverable(current: HvVcpu): boolean {
    return this.vcpuState.upcallDeliverable(current);
  }

  /**
   * EVTCHNOP_alloc_unbound: a port of `dom` to which `remoteDom` may connect. DOMID_SELF as `remoteDom` means the caller's
   * domain, also where `dom` is another.
   * @returns the port; -ESRCH, -EINVAL (dying), -ENOSPC, -EPERM
   */
  allocUnbound(current: HvVcpu, dom: number, remoteDom: number): number {
    const domain = this.machine.domainByAnyId(current, dom);
    if (domain === undefined) return -Errno.ESRCH;
    const remoteDomid = toDomid(remoteDom) === DOMID_SELF ? current.domainId : toDomid(remoteDom);
    this.channels.lockEvents(domain);
    const port = this.binding.unbound(current, domain, 0, 0, remoteDomid);
    this.channels.unlockEvents(domain);
    return port;
  }

  /**
   * EVTCHNOP_bind_interdomain: a local port connected to `remotePort`, which has to wait for the caller's domain.
   *
   * The local port becomes pending: what the peer sent before is lost, so one event is made up for it.
   * @returns the local port; -ESRCH, -EINVAL, -ENOSPC
   */
  bindInterdomain(current: HvVcpu, remoteDom: number, remotePort: number): number {
    const local = current.domain;
    const remote = this.machine.domainByAnyId(current, remoteDom);
    if (remote === undefined) return -Errno.ESRCH;
    this.channels.lockEventsOfBoth(local, remote);
    const port = this.binding.interdomain(local, remote, remotePort);
    this.channels.unlockEventsOfBoth(local, remote);
    return port;
  }

  /**
   * EVTCHNOP_bind_virq.
   * @returns the port; -EINVAL (no such VIRQ, or one of the domain's with a vCPU other than 0), -ENOENT (no such vCPU),
   * -EBUSY (global, and another domain's to handle), -EEXIST, -ENOSPC
   */
  bindVirq(current: HvVcpu, virq: number, vcpuId: number): number {
    const { domain } = current;
    if (!isVirq(virq)) return EINVAL;
    if (!isVcpuVirq(virq) && vcpuId !== 0) return EINVAL;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return -Errno.ENOENT;
    if (isGlobalVirq(virq) && this.virqs.handler(virq) !== domain) return -Errno.EBUSY;
    this.channels.lockEvents(domain);
    const port = this.binding.virq(vcpu, virq);
    this.channels.unlockEvents(domain);
    return port;
  }

  /**
   * EVTCHNOP_bind_ipi: a port that notifies `vcpuId` when a vCPU of the domain sends on it.
   * @returns the port; -ENOENT (no such vCPU), -EINVAL (dying), -ENOSPC
   */
  bindIpi(current: HvVcpu, vcpuId: number): number {
    const { domain } = current;
    if (domain.vcpu(vcpuId) === undefined) return -Errno.ENOENT;
    this.channels.lockEvents(domain);
    const port = this.binding.ipi(domain, vcpuId);
    this.channels.unlockEvents(domain);
    return port;
  }

  /**
   * EVTCHNOP_bind_pirq (x86 only).
   * @param flags - BIND_PIRQ__*
   * @returns the port; -EOPNOTSUPP, -EINVAL (no such PIRQ), -EPERM, -EEXIST, -ENOSPC, -EBUSY (not to be shared)
   */
  bindPirq(current: HvVcpu, pirq: number, flags: number): number {
    const { domain } = current;
    if (!domain.isX86) return -Errno.EOPNOTSUPP;
    if (!this.machine.pirqExists(pirq)) return EINVAL;
    if (!domain.mayBindPirq(pirq)) return -Errno.EPERM;
    this.channels.lockEvents(domain);
    const port = this.binding.pirq(domain, pirq, flags);
    this.channels.unlockEvents(domain);
    return port;
  }

  /**
   * EVTCHNOP_close. The pending bit is cleared; mask, selectors and upcall flags stay. The far end of an interdomain
   * channel becomes unbound, waits for this domain, and is not told.
   * @returns 0; -EINVAL
   */
  close(current: HvVcpu, port: number): number {
    return this.closing.close(current.domain, port, true);
  }

  /**
   * EVTCHNOP_send. Waits for a bind or close of the channel under way. Sending on an unbound port is no error and has no
   * effect.
   * @returns 0; -EINVAL for a port that cannot be sent on
   */
  send(current: HvVcpu, port: number): number {
    const { domain } = current;
    // A port without a record and one that is free give the same answer, so the count of records need not be read.
    if (!domain.mayHaveRecord(port)) return EINVAL;
    this.channels.readLock(domain, port);
    const result = this.sendLocked(domain, port);
    this.channels.readUnlock(domain, port);
    return result;
  }

  /**
   * EVTCHNOP_status.
   * @param out - filled in when the result is 0
   * @returns 0; -ESRCH, -EINVAL (no such port), -EPERM
   */
  status(current: HvVcpu, dom: number, port: number, out: PortStatus): number {
    const domain = this.machine.domainByAnyId(current, dom);
    if (domain === undefined) return -Errno.ESRCH;
    domain.state.readLock(DOMAIN_EVENT_LOCK);
    let result = 0;
    if (!domain.portIsValid(port)) result = EINVAL;
    else if (!mayControl(current, domain)) result = -Errno.EPERM;
    else this.describe(domain, port, out);
    domain.state.readUnlock(DOMAIN_EVENT_LOCK);
    return result;
  }

  /**
   * EVTCHNOP_bind_vcpu: later events of the port notify `vcpuId`. What is pending stays with the old one.
   * @returns 0; -ENOENT (no such vCPU), -EINVAL (no such port, or one that cannot be moved)
   */
  bindVcpu(current: HvVcpu, port: number, vcpuId: number): number {
    const { domain } = current;
    if (domain.vcpu(vcpuId) === undefined) return -Errno.ENOENT;
    this.channels.lockEvents(domain);
    let result = EINVAL;
    if (domain.portIsValid(port) && this.isMovable(domain, port)) {
      this.channels.setNotifyVcpu(domain, port, vcpuId);
      result = 0;
    }
    this.channels.unlockEvents(domain);
    return result;
  }

  /**
   * EVTCHNOP_unmask: clears the mask bit; if it was set (or not, under the FIFO ABI) and the port is pending, announces the
   * event to the vCPU the channel notifies. Waits for a bind or close under way. No effect on ports that are not in use.
   * @returns 0; -EINVAL (no such port)
   */
  unmask(current: HvVcpu, port: number): number {
    const { domain } = current;
    if (!domain.portIsValid(port)) return EINVAL;
    this.channels.readLock(domain, port);
    const state = this.channels.state(domain, port);
    if (isUsable(state)) {
      this.abis.of(state).unmask(domain, this.channels.notifyVcpu(domain, port), port);
    }
    this.channels.readUnlock(domain, port);
    return 0;
  }

  /**
   * EVTCHNOP_reset: closes every port but those of the hypervisor itself.
   * @returns 0; -ESRCH, -EPERM, -EINVAL (another domain that is not paused), -EBUSY (a reset is under way), -EAGAIN (ports
   * were bound meanwhile)
   */
  reset(current: HvVcpu, dom: number): number {
    return this.closing.reset(current, dom, false, false);
  }

  /**
   * The same in steps, see {@link ChannelClosing.reset}.
   * @param resuming - EVTCHNOP_reset_cont
   * @param interrupt - stop after 64 ports with RESET_INTERRUPTED
   */
  resetFrom(current: HvVcpu, dom: number, resuming: boolean, interrupt: boolean): number {
    return this.closing.reset(current, dom, resuming, interrupt);
  }

  /** EVTCHNOP_init_control, see {@link FifoControl.initControl}. */
  initControl(current: HvVcpu, controlGfn: number, offset: number, vcpuId: number): number {
    return this.fifo.initControl(current.domain, controlGfn, offset, vcpuId);
  }

  /** EVTCHNOP_expand_array, see {@link FifoControl.expandArray}. */
  expandArray(current: HvVcpu, arrayGfn: number): number {
    return this.fifo.expandArray(current.domain, arrayGfn);
  }

  /**
   * EVTCHNOP_set_priority: 0 is served first, 15 last. Waits for a bind or close under way.
   * @returns 0; -EINVAL (no such port, or no such priority), -ENOSYS (the 2-level ABI has none), -EACCES (not a port in use, or
   * the hypervisor's own)
   */
  setPriority(current: HvVcpu, port: number, priority: number): number {
    const { domain } = current;
    if (!domain.portIsValid(port)) return EINVAL;
    this.channels.readLock(domain, port);
    const usable = isUsable(this.channels.state(domain, port));
    const result = this.abis.ofDomain(domain).setPriority(domain, port, usable, priority);
    this.channels.readUnlock(domain, port);
    return result;
  }

  /**
   * What SCHEDOP_poll wants to know of a port.
   * @returns 1 pending, 0 not; -EINVAL for a port the guest may not use
   * @source xen/common/event_channel.c, evtchn_port_poll
   */
  poll(domain: HvDomain, port: number): number {
    if (!domain.portIsValid(port)) return EINVAL;
    let result = EINVAL;
    this.channels.readLock(domain, port);
    const state = this.channels.state(domain, port);
    if (isUsable(state)) result = this.abis.of(state).isPending(domain, port) ? 1 : 0;
    this.channels.readUnlock(domain, port);
    return result;
  }

  /**
   * A port of `domain` whose events are the hypervisor's own, waiting for `remoteDomid`; made on behalf of `current`.
   * @param vcpuId - one of the domain's; the onlooker is told of events at it
   * @returns the port; -EINVAL (dying, or no such vCPU), -ENOSPC, -EPERM
   * @source xen/common/event_channel.c, alloc_unbound_xen_event_channel
   */
  xenAlloc(current: HvVcpu, domain: HvDomain, vcpuId: number, remoteDomid: number): number {
    if (domain.vcpu(vcpuId) === undefined) return EINVAL;
    this.channels.lockEvents(domain);
    const port = this.binding.unbound(current, domain, XEN_CONSUMER, vcpuId, toDomid(remoteDomid));
    if (port >= 0) this.channels.countXenConsumer(domain, 1);
    this.channels.unlockEvents(domain);
    return port;
  }

  /** Closes a port that {@link xenAlloc} made. */
  xenFree(domain: HvDomain, port: number): void {
    if (domain.portIsValid(port) && consumerIsXen(this.channels.state(domain, port))) {
      this.closing.close(domain, port, false);
    }
  }

  /**
   * The hypervisor sends from its own port to the peer. Dropped if the channel is not connected, or just being changed.
   * @source xen/common/event_channel.c, notify_via_xen_event_channel
   */
  xenNotify(domain: HvDomain, port: number): void {
    if (!domain.portIsValid(port) || !this.channels.readTrylock(domain, port)) return;
    const state = this.channels.state(domain, port);
    if (consumerIsXen(state) && ecsOf(state) === ECS_INTERDOMAIN) this.notifyPeer(domain, port);
    this.channels.readUnlock(domain, port);
  }

  /** The domain dies: it gets no new ports, and all it has are closed, the hypervisor's own too. */
  destroy(domain: HvDomain): void {
    this.closing.destroy(domain);
  }

  private sendLocked(domain: HvDomain, port: number): number {
    const state = this.channels.state(domain, port);
    // By the state alone, whichever the ABI; a port of the hypervisor's own matches none.
    const kind = state & ~FIFO;
    if (kind === IPI) this.abis.of(state).setPending(domain, this.channels.notifyVcpu(domain, port), port);
    else if (kind === INTERDOMAIN) this.notifyPeer(domain, port);
    else if (kind !== UNBOUND) return EINVAL;
    return 0;
  }

  /**
   * Raises the event at the far end of an interdomain channel. Precondition: the near end's lock held; it keeps the link
   * as it is.
   */
  private notifyPeer(domain: HvDomain, port: number): void {
    const peer = this.machine.peer(this.channels.remoteDomid(domain, port));
    const peerPort = this.channels.remotePort(domain, port);
    const vcpu = this.channels.notifyVcpu(peer, peerPort);
    const state = this.channels.state(peer, peerPort);
    if (consumerIsXen(state)) this.machine.observer.xenConsumer(peer.id, vcpu.vcpuId, peerPort);
    else this.abis.of(state).setPending(peer, vcpu, peerPort);
  }

  private isMovable(domain: HvDomain, port: number): boolean {
    const state = this.channels.state(domain, port) & ~FIFO;
    if (state === ECS_VIRQ) return !isVcpuVirq(this.channels.remotePort(domain, port));
    return state === ECS_UNBOUND || state === ECS_INTERDOMAIN || state === ECS_PIRQ;
  }

  /** Precondition: event_lock held for reading. */
  private describe(domain: HvDomain, port: number, out: PortStatus): void {
    out.vcpu = this.channels.notifyVcpu(domain, port).vcpuId;
    out.dom = out.port = out.pirq = out.virq = -1;
    switch (ecsOf(this.channels.state(domain, port))) {
      case ECS_UNBOUND:
        out.status = EVTCHNSTAT_unbound;
        out.dom = this.channels.remoteDomid(domain, port);
        break;
      case ECS_INTERDOMAIN:
        out.status = EVTCHNSTAT_interdomain;
        out.dom = this.channels.remoteDomid(domain, port);
        out.port = this.channels.remotePort(domain, port);
        break;
      case ECS_PIRQ:
        out.status = EVTCHNSTAT_pirq;
        out.pirq = this.channels.remotePort(domain, port);
        break;
      case ECS_VIRQ:
        out.status = EVTCHNSTAT_virq;
        out.virq = this.channels.remotePort(domain, port);
        break;
      case ECS_IPI:
        out.status = EVTCHNSTAT_ipi;
        break;
      default:
        out.status = EVTCHNSTAT_closed;
    }
  }
}
