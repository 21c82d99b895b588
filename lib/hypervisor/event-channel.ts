/**
 * EVTCHNOP_*: the operations of the event-channel hypercall, and what the hypervisor does with channels of its own.
 *
 * Checks are made in Xen's order with Xen's errno. Every method takes any JavaScript number as argument, returns a result
 * of 0 or more or a negated errno, and never throws for what it is given.
 *
 * Locks, in the order in which they are taken:
 * 1. event_lock of the domain, for writing by whatever changes channels, for reading by status. Of two domains, the one
 *    that comes first in the machine is locked first. Close learns only under the lock which second domain it needs; if
 *    that one comes first, close drops its own lock, takes both in order and looks again.
 * 2. The channel's lock: for reading by send and unmask, for writing around each change of state. Both ends of an
 *    interdomain channel are locked together, in a fixed order, when it is made or broken. Hence a sender that holds the
 *    near end's lock may use the far end without holding that one's: the link cannot go away.
 * Delivery itself takes no further lock in the 2-level ABI.
 *
 * The vCPU a channel notifies is not covered by the channel's lock: bind_vcpu changes it under event_lock, send reads the
 * far end's under the near end's lock. A send that races with a bind_vcpu may announce the event to the old vCPU after
 * bind_vcpu has returned, as in Xen.
 *
 * Leaves out: the FIFO ABI. Its operations check their arguments; where they would switch a domain over they return
 * -EOPNOTSUPP, as Xen built without FIFO support does.
 *
 * @source xen/common/event_channel.c
 */
import { DOMID_SELF } from '../abi/domain-ids';
import { ERRNO_INTERNAL, Errno } from '../abi/errno';
import {
  ECS_FREE,
  ECS_INTERDOMAIN,
  ECS_IPI,
  ECS_PIRQ,
  ECS_RESERVED,
  ECS_UNBOUND,
  ECS_VIRQ,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
} from '../abi/event-channel';
import { layoutOf } from '../abi/layouts';
import { toDomid, toUint32 } from './arguments';
import { type Channels, consumerIsXen, ecsOf, isUsable } from './channels';
import { PAGE_BYTES } from './image';
import { type HvDomain, type HvVcpu, type Machine, mayControl } from './machine';
import type { Pirqs } from './pirq';
import type { PortOps } from './port-ops';
import {
  DOMAIN_ACTIVE_EVTCHNS,
  DOMAIN_CONTROLLER_PAUSE_COUNT,
  DOMAIN_DYING,
  DOMAIN_EVENT_LOCK,
  DOMAIN_NEXT_EVTCHN,
  DOMAIN_STATUS,
  DOMAIN_XEN_EVTCHNS,
  XEN_CONSUMER,
} from './state-layout';
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
/** A reset that was asked to stop half-way; EVTCHNOP_reset_cont goes on. Never reaches a guest. */
export const RESET_INTERRUPTED = -ERRNO_INTERNAL.ERESTART;

export class EventChannels {
  private readonly controlBlockBytes = layoutOf('x86_64', 'evtchn_fifo_control_block').size;

  constructor(
    private readonly machine: Machine,
    private readonly channels: Channels,
    private readonly ports: PortOps,
    private readonly vcpuState: VcpuState,
    private readonly virqs: Virqs,
    private readonly pirqs: Pirqs,
  ) {}

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
    const port = this.allocateUnbound(current, domain, ECS_UNBOUND, 0, remoteDomid);
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
    const port = this.bindInterdomainLocked(local, remote, remotePort);
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
    const port = this.bindVirqLocked(vcpu, virq);
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
    const port = this.channels.allocate(domain);
    if (port >= 0) this.channels.connect(domain, port, ECS_IPI, vcpuId, 0, 0);
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
    const port = this.bindPirqLocked(domain, pirq, flags);
    this.channels.unlockEvents(domain);
    return port;
  }

  /**
   * EVTCHNOP_close. The pending bit is cleared; mask, selectors and upcall flags stay. The far end of an interdomain
   * channel becomes unbound, waits for this domain, and is not told.
   * @returns 0; -EINVAL
   */
  close(current: HvVcpu, port: number): number {
    return this.closeChannel(current.domain, port, true);
  }

  /**
   * EVTCHNOP_send. Waits for a bind or close of the channel under way. Sending on an unbound port is no error and has no
   * effect.
   * @returns 0; -EINVAL for a port that cannot be sent on
   */
  send(current: HvVcpu, port: number): number {
    const { domain } = current;
    if (!domain.portIsValid(port)) return EINVAL;
    this.channels.readLock(domain, port);
    const state = this.channels.state(domain, port);
    let result = 0;
    if (state === ECS_INTERDOMAIN) this.notifyPeer(domain, port);
    else if (state === ECS_IPI) this.ports.setPending(domain, this.channels.notifyVcpu(domain, port), port);
    else if (state !== ECS_UNBOUND) result = EINVAL;
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
   * EVTCHNOP_unmask: clears the mask bit; if it was set and the port is pending, announces the event to the vCPU the channel
   * notifies. Waits for a bind or close under way. No effect on ports that are not in use.
   * @returns 0; -EINVAL (no such port)
   */
  unmask(current: HvVcpu, port: number): number {
    const { domain } = current;
    if (!domain.portIsValid(port)) return EINVAL;
    this.channels.readLock(domain, port);
    if (isUsable(this.channels.state(domain, port))) {
      this.ports.unmask(domain, this.channels.notifyVcpu(domain, port), port);
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
    return this.resetFrom(current, dom, false, false);
  }

  /**
   * EVTCHNOP_reset_cont, or EVTCHNOP_reset with a chance to stop after every 64 ports.
   * @param resuming - go on where an interrupted reset stopped
   * @param interrupt - stop at the first opportunity
   * @returns as {@link reset}, or RESET_INTERRUPTED
   */
  resetFrom(current: HvVcpu, dom: number, resuming: boolean, interrupt: boolean): number {
    const domain = this.machine.domainByAnyId(current, dom);
    if (domain === undefined) return -Errno.ESRCH;
    if (!mayControl(current, domain)) return -Errno.EPERM;
    if (domain !== current.domain && domain.state.load32(DOMAIN_CONTROLLER_PAUSE_COUNT) === 0) return EINVAL;
    const first = this.beginReset(domain, resuming);
    if (first === 0) return -Errno.EBUSY;
    for (let port = first; domain.portIsValid(port); port++) {
      this.closeChannel(domain, port, true);
      if (interrupt && (port & 63) === 0) return this.suspendReset(domain, port);
    }
    return this.endReset(domain);
  }

  /**
   * EVTCHNOP_init_control. Does not go further than the checks.
   * @returns -ENOENT (no such vCPU), -EINVAL (place), -EOPNOTSUPP
   */
  initControl(current: HvVcpu, controlGfn: number, offset: number, vcpuId: number): number {
    const { domain } = current;
    if (domain.vcpu(vcpuId) === undefined) return -Errno.ENOENT;
    if (toUint32(offset) > PAGE_BYTES - this.controlBlockBytes || offset % 8 !== 0) return EINVAL;
    if (!domain.isMappable(controlGfn) || domain.isReadOnly(controlGfn)) return EINVAL;
    return -Errno.EOPNOTSUPP;
  }

  /**
   * EVTCHNOP_expand_array: no domain uses the FIFO ABI.
   * @returns -EOPNOTSUPP
   */
  expandArray(_current: HvVcpu, _arrayGfn: number): number {
    return -Errno.EOPNOTSUPP;
  }

  /**
   * EVTCHNOP_set_priority: the 2-level ABI has no priorities.
   * @returns -EINVAL (no such port), -ENOSYS
   */
  setPriority(current: HvVcpu, port: number, _priority: number): number {
    return current.domain.portIsValid(port) ? -Errno.ENOSYS : EINVAL;
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
    if (isUsable(this.channels.state(domain, port))) result = this.ports.isPending(domain, port) ? 1 : 0;
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
    const port = this.allocateUnbound(current, domain, ECS_UNBOUND | XEN_CONSUMER, vcpuId, toDomid(remoteDomid));
    if (port >= 0) this.channels.countXenConsumer(domain, 1);
    this.channels.unlockEvents(domain);
    return port;
  }

  /** Closes a port that {@link xenAlloc} made. */
  xenFree(domain: HvDomain, port: number): void {
    if (domain.portIsValid(port) && consumerIsXen(this.channels.state(domain, port))) {
      this.closeChannel(domain, port, false);
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

  /**
   * The domain dies: it gets no new ports, and all it has are closed, the hypervisor's own too.
   * @source xen/common/event_channel.c, evtchn_destroy
   */
  destroy(domain: HvDomain): void {
    // Under event_lock, so that no allocation that has seen the domain alive is still under way.
    this.channels.lockEvents(domain);
    domain.state.store32(DOMAIN_STATUS, DOMAIN_DYING);
    this.channels.unlockEvents(domain);
    for (let port = 1; domain.portIsValid(port); port++) this.closeChannel(domain, port, false);
    this.virqs.forgetHandler(domain);
  }

  /**
   * Raises the event at the far end of an interdomain channel. Precondition: the near end's lock held; it keeps the link
   * as it is.
   */
  private notifyPeer(domain: HvDomain, port: number): void {
    const peer = this.machine.domain(this.channels.remoteDomid(domain, port)) as HvDomain;
    const peerPort = this.channels.remotePort(domain, port);
    const vcpu = this.channels.notifyVcpu(peer, peerPort);
    if (consumerIsXen(this.channels.state(peer, peerPort))) {
      this.machine.observer.xenConsumer(peer.id, vcpu.vcpuId, peerPort);
    } else {
      this.ports.setPending(peer, vcpu, peerPort);
    }
  }

  /** For this and the following: event_lock held, for writing except where said. */
  private allocateUnbound(
    current: HvVcpu,
    domain: HvDomain,
    state: number,
    vcpuId: number,
    remoteDomid: number,
  ): number {
    const port = this.channels.allocate(domain);
    if (port < 0) return port;
    if (!mayControl(current, domain)) {
      this.channels.giveBack(domain);
      return -Errno.EPERM;
    }
    this.channels.connect(domain, port, state, vcpuId, remoteDomid, 0);
    return port;
  }

  private bindInterdomainLocked(local: HvDomain, remote: HvDomain, remotePort: number): number {
    const { channels } = this;
    const port = channels.allocate(local);
    if (port < 0) return port;
    if (!remote.portIsValid(remotePort) || !this.waitsFor(remote, remotePort, local)) {
      channels.giveBack(local);
      return EINVAL;
    }
    channels.writeLockBoth(local, port, remote, remotePort);
    // The far end keeps its consumer and its notify vCPU.
    const consumer = channels.state(remote, remotePort) & XEN_CONSUMER;
    const remoteVcpuId = channels.notifyVcpu(remote, remotePort).vcpuId;
    channels.write(local, port, ECS_INTERDOMAIN, 0, remote.id, remotePort);
    channels.write(remote, remotePort, ECS_INTERDOMAIN | consumer, remoteVcpuId, local.id, port);
    this.ports.setPending(local, local.vcpus[0] as HvVcpu, port);
    channels.writeUnlockBoth(local, port, remote, remotePort);
    return port;
  }

  private waitsFor(remote: HvDomain, remotePort: number, local: HvDomain): boolean {
    return (
      ecsOf(this.channels.state(remote, remotePort)) === ECS_UNBOUND &&
      this.channels.remoteDomid(remote, remotePort) === local.id
    );
  }

  private bindVirqLocked(vcpu: HvVcpu, virq: number): number {
    if (this.virqs.port(vcpu, virq) !== 0) return -Errno.EEXIST;
    const port = this.channels.allocate(vcpu.domain);
    if (port < 0) return port;
    this.channels.connect(vcpu.domain, port, ECS_VIRQ, vcpu.vcpuId, 0, virq);
    this.virqs.fillSlot(vcpu, virq, port);
    return port;
  }

  private bindPirqLocked(domain: HvDomain, pirq: number, flags: number): number {
    if (this.pirqs.port(domain, pirq) !== 0) return -Errno.EEXIST;
    const port = this.channels.allocate(domain);
    if (port < 0) return port;
    this.pirqs.setPort(domain, pirq, port);
    const result = this.pirqs.guestBind(domain, pirq, flags);
    if (result < 0) {
      this.pirqs.setPort(domain, pirq, 0);
      this.channels.giveBack(domain);
      return result;
    }
    this.channels.connect(domain, port, ECS_PIRQ, 0, 0, pirq);
    return port;
  }

  /**
   * Closes a port.
   * @param byGuest - the guest asks: ports of the hypervisor are not its to close
   * @returns 0; -EINVAL, also when the port was closed and connected to another domain while the locks were being taken
   */
  private closeChannel(domain: HvDomain, port: number, byGuest: boolean): number {
    const { channels } = this;
    channels.lockEvents(domain);
    const peer = this.peerDomain(domain, port);
    const locksPeer = peer !== undefined && peer !== domain;
    if (locksPeer && peer.index < domain.index) {
      channels.unlockEvents(domain);
      channels.lockEventsOfBoth(peer, domain);
    } else if (locksPeer) {
      channels.lockEvents(peer);
    }
    const result = this.closeLocked(domain, port, byGuest, peer);
    if (locksPeer) channels.unlockEvents(peer);
    channels.unlockEvents(domain);
    return result;
  }

  /** The domain at the other end of an interdomain channel, or undefined. */
  private peerDomain(domain: HvDomain, port: number): HvDomain | undefined {
    if (!domain.portIsValid(port) || ecsOf(this.channels.state(domain, port)) !== ECS_INTERDOMAIN) return undefined;
    return this.machine.domain(this.channels.remoteDomid(domain, port));
  }

  /** Precondition: event_lock of `domain` and of `locked`, if any, held. */
  private closeLocked(domain: HvDomain, port: number, byGuest: boolean, locked: HvDomain | undefined): number {
    if (!domain.portIsValid(port)) return EINVAL;
    const state = this.channels.state(domain, port);
    if (byGuest && consumerIsXen(state)) return EINVAL;
    switch (ecsOf(state)) {
      case ECS_FREE:
      case ECS_RESERVED:
        return EINVAL;
      case ECS_INTERDOMAIN:
        // Re-bound while no lock was held: it has been free in between, so this answer is a true one.
        if (this.peerDomain(domain, port) !== locked) return EINVAL;
        this.disconnect(domain, port, locked as HvDomain);
        return 0;
      case ECS_PIRQ:
        this.unbindPirq(domain, this.channels.remotePort(domain, port));
        break;
      case ECS_VIRQ:
        this.unbindVirq(domain, port);
        break;
    }
    this.channels.writeLock(domain, port);
    this.channels.free(domain, port);
    this.channels.writeUnlock(domain, port);
    return 0;
  }

  private disconnect(domain: HvDomain, port: number, peer: HvDomain): void {
    const { channels } = this;
    const peerPort = channels.remotePort(domain, port);
    channels.writeLockBoth(domain, port, peer, peerPort);
    channels.free(domain, port);
    const consumer = channels.state(peer, peerPort) & XEN_CONSUMER;
    const peerVcpuId = channels.notifyVcpu(peer, peerPort).vcpuId;
    channels.write(peer, peerPort, ECS_UNBOUND | consumer, peerVcpuId, domain.id, 0);
    channels.writeUnlockBoth(domain, port, peer, peerPort);
  }

  private unbindPirq(domain: HvDomain, pirq: number): void {
    this.pirqs.guestUnbind(domain, pirq);
    this.pirqs.setPort(domain, pirq, 0);
  }

  private unbindVirq(domain: HvDomain, port: number): void {
    const virq = this.channels.remotePort(domain, port);
    const holder = isVcpuVirq(virq) ? this.channels.notifyVcpu(domain, port) : (domain.vcpus[0] as HvVcpu);
    this.virqs.emptySlot(holder, virq);
  }

  private isMovable(domain: HvDomain, port: number): boolean {
    const state = this.channels.state(domain, port);
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

  /** @returns the port to begin with; 0 if there is a reset to wait for, or none to go on with */
  private beginReset(domain: HvDomain, resuming: boolean): number {
    this.channels.lockEvents(domain);
    const next = domain.state.read32(DOMAIN_NEXT_EVTCHN);
    const first = resuming ? next : next === 0 ? 1 : 0;
    if (first > next) domain.state.write32(DOMAIN_NEXT_EVTCHN, first);
    this.channels.unlockEvents(domain);
    return first;
  }

  private suspendReset(domain: HvDomain, port: number): number {
    this.channels.lockEvents(domain);
    domain.state.write32(DOMAIN_NEXT_EVTCHN, port);
    this.channels.unlockEvents(domain);
    return RESET_INTERRUPTED;
  }

  private endReset(domain: HvDomain): number {
    const { state } = domain;
    this.channels.lockEvents(domain);
    state.write32(DOMAIN_NEXT_EVTCHN, 0);
    const result = state.read32(DOMAIN_ACTIVE_EVTCHNS) > state.read32(DOMAIN_XEN_EVTCHNS) ? -Errno.EAGAIN : 0;
    this.channels.unlockEvents(domain);
    return result;
  }
}
