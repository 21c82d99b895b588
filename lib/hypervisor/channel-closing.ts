/**
 * Closing event channels: one, all of a domain (EVTCHNOP_reset), and those of a domain that dies.
 *
 * Close learns only under the domain's event_lock whether it needs that of a second domain. If that one comes first in the
 * machine, close drops its own lock, takes both in order and looks again: the channel may have changed meanwhile.
 *
 * @source xen/common/event_channel.c (evtchn_close, evtchn_reset, evtchn_destroy)
 */
import { ERRNO_INTERNAL, Errno } from '../abi/errno';
import { ECS_FREE, ECS_INTERDOMAIN, ECS_PIRQ, ECS_RESERVED, ECS_UNBOUND, ECS_VIRQ } from '../abi/event-channel';
import { type Channels, consumerIsXen, ecsOf } from './channels';
import type { FifoControl } from './fifo-control';
import { type HvDomain, type HvVcpu, type Machine, mayControl } from './machine';
import type { Pirqs } from './pirq';
import {
  DOMAIN_ACTIVE_EVTCHNS,
  DOMAIN_CONTROLLER_PAUSE_COUNT,
  DOMAIN_DYING,
  DOMAIN_NEXT_EVTCHN,
  DOMAIN_STATUS,
  DOMAIN_XEN_EVTCHNS,
  STATE_MASK,
} from './state-layout';
import { isVcpuVirq, type Virqs } from './virq';

const EINVAL = -Errno.EINVAL;
/** A reset that was asked to stop half-way; EVTCHNOP_reset_cont goes on. Never reaches a guest. */
export const RESET_INTERRUPTED = -ERRNO_INTERNAL.ERESTART;

export class ChannelClosing {
  constructor(
    private readonly machine: Machine,
    private readonly channels: Channels,
    private readonly virqs: Virqs,
    private readonly pirqs: Pirqs,
    private readonly fifo: FifoControl,
  ) {}

  /**
   * Closes a port.
   * @param byGuest - the guest asks: ports of the hypervisor are not its to close
   * @returns 0; -EINVAL, also when the port was closed and connected to another domain while the locks were being taken
   */
  close(domain: HvDomain, port: number, byGuest: boolean): number {
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

  /**
   * EVTCHNOP_reset: closes every port but those of the hypervisor itself, and puts the domain back on the 2-level ABI. It may
   * stop after every 64 ports.
   * @param resuming - EVTCHNOP_reset_cont: go on where an interrupted reset stopped
   * @param interrupt - stop at the first opportunity
   * @returns 0; -ESRCH, -EPERM, -EINVAL (another domain that is not paused), -EBUSY (a reset is under way, or none to go on
   * with), -EAGAIN (ports were bound meanwhile), RESET_INTERRUPTED
   */
  reset(current: HvVcpu, dom: number, resuming: boolean, interrupt: boolean): number {
    const domain = this.machine.domainByAnyId(current, dom);
    if (domain === undefined) return -Errno.ESRCH;
    if (!mayControl(current, domain)) return -Errno.EPERM;
    if (domain !== current.domain && domain.state.load32(DOMAIN_CONTROLLER_PAUSE_COUNT) === 0) return EINVAL;
    const first = this.beginReset(domain, resuming);
    if (first === 0) return -Errno.EBUSY;
    for (let port = first; domain.portIsValid(port); port++) {
      this.close(domain, port, true);
      if (interrupt && (port & 63) === 0) return this.suspendReset(domain, port);
    }
    return this.endReset(domain);
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
    for (let port = 1; domain.portIsValid(port); port++) this.close(domain, port, false);
    this.channels.lockEvents(domain);
    this.fifo.leave(domain);
    this.channels.unlockEvents(domain);
    this.virqs.forgetHandler(domain);
  }

  /** The domain at the other end of an interdomain channel, or undefined. */
  private peerDomain(domain: HvDomain, port: number): HvDomain | undefined {
    if (!domain.portIsValid(port) || ecsOf(this.channels.state(domain, port)) !== ECS_INTERDOMAIN) return undefined;
    return this.machine.peer(this.channels.remoteDomid(domain, port));
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
    const marks = channels.state(peer, peerPort) & ~STATE_MASK;
    const peerVcpuId = channels.notifyVcpu(peer, peerPort).vcpuId;
    channels.write(peer, peerPort, ECS_UNBOUND | marks, peerVcpuId, domain.id, 0);
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
    if (result === 0) this.fifo.leave(domain);
    this.channels.unlockEvents(domain);
    return result;
  }
}
