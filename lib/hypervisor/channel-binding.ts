/**
 * Making event channels: allocating a port and binding it to its source or peer.
 *
 * Every method is called with the event_lock of the domains concerned held for writing, and returns a port or a negated
 * errno; no port is left allocated then. Arguments that have a check before the lock were checked by the caller.
 *
 * @source xen/common/event_channel.c (evtchn_alloc_unbound, evtchn_bind_interdomain, evtchn_bind_virq,
 * evtchn_bind_ipi, evtchn_bind_pirq)
 */
import { Errno } from '../abi/errno';
import { ECS_INTERDOMAIN, ECS_IPI, ECS_PIRQ, ECS_UNBOUND, ECS_VIRQ } from '../abi/event-channel';
import { type Channels, ecsOf } from './channels';
import { type HvDomain, type HvVcpu, mayControl } from './machine';
import type { Pirqs } from './pirq';
import type { PortAbis } from './port-ops';
import { STATE_MASK } from './state-layout';
import type { Virqs } from './virq';

export class ChannelBinding {
  constructor(
    private readonly channels: Channels,
    private readonly abis: PortAbis,
    private readonly virqs: Virqs,
    private readonly pirqs: Pirqs,
  ) {}

  /**
   * A port of `domain` that waits for `remoteDomid`, if `current` may make one there.
   * @param consumer - XEN_CONSUMER, or 0 for a port of the guest's
   */
  unbound(current: HvVcpu, domain: HvDomain, consumer: number, vcpuId: number, remoteDomid: number): number {
    const port = this.channels.allocate(domain);
    if (port < 0) return port;
    if (!mayControl(current, domain)) {
      this.channels.giveBack(domain, port);
      return -Errno.EPERM;
    }
    this.channels.connect(domain, port, ECS_UNBOUND | consumer, vcpuId, remoteDomid, 0);
    return port;
  }

  /**
   * A local port connected to a remote one that waits for it. The local port becomes pending: what the peer sent before is
   * lost, so one event is made up for it.
   */
  interdomain(local: HvDomain, remote: HvDomain, remotePort: number): number {
    const { channels } = this;
    const port = channels.allocate(local);
    if (port < 0) return port;
    if (!remote.portIsValid(remotePort) || !this.waitsFor(remote, remotePort, local)) {
      channels.giveBack(local, port);
      return -Errno.EINVAL;
    }
    channels.writeLockBoth(local, port, remote, remotePort);
    // The far end keeps its consumer, its ABI and its notify vCPU.
    const marks = channels.state(remote, remotePort) & ~STATE_MASK;
    const remoteVcpuId = channels.notifyVcpu(remote, remotePort).vcpuId;
    const state = channels.open(local, port, ECS_INTERDOMAIN, 0, remote.id, remotePort);
    channels.write(remote, remotePort, ECS_INTERDOMAIN | marks, remoteVcpuId, local.id, port);
    this.abis.of(state).setPending(local, local.vcpus[0] as HvVcpu, port);
    channels.writeUnlockBoth(local, port, remote, remotePort);
    return port;
  }

  /** @param vcpu - whose table the VIRQ goes into */
  virq(vcpu: HvVcpu, virq: number): number {
    if (this.virqs.port(vcpu, virq) !== 0) return -Errno.EEXIST;
    const port = this.channels.allocate(vcpu.domain);
    if (port < 0) return port;
    this.channels.connect(vcpu.domain, port, ECS_VIRQ, vcpu.vcpuId, 0, virq);
    this.virqs.fillSlot(vcpu, virq, port);
    return port;
  }

  ipi(domain: HvDomain, vcpuId: number): number {
    const port = this.channels.allocate(domain);
    if (port >= 0) this.channels.connect(domain, port, ECS_IPI, vcpuId, 0, 0);
    return port;
  }

  /** @param flags - BIND_PIRQ__* */
  pirq(domain: HvDomain, pirq: number, flags: number): number {
    if (this.pirqs.port(domain, pirq) !== 0) return -Errno.EEXIST;
    const port = this.channels.allocate(domain);
    if (port < 0) return port;
    this.pirqs.setPort(domain, pirq, port);
    const result = this.pirqs.guestBind(domain, pirq, flags);
    if (result < 0) {
      this.pirqs.setPort(domain, pirq, 0);
      this.channels.giveBack(domain, port);
      return result;
    }
    this.channels.connect(domain, port, ECS_PIRQ, 0, 0, pirq);
    return port;
  }

  private waitsFor(remote: HvDomain, remotePort: number, local: HvDomain): boolean {
    return (
      ecsOf(this.channels.state(remote, remotePort)) === ECS_UNBOUND &&
      this.channels.remoteDomid(remote, remotePort) === local.id
    );
  }
}
