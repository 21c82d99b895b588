/**
 * A machine as the invariants look at it: its words as they are in memory now, without a step of anybody's. The
 * addresses come from the hypervisor's immutable views; its operations, which are steps, are not used.
 */
import { ECS_FREE, ECS_RESERVED } from '../../abi/event-channel';
import type { HvDomain, HvVcpu, Hypervisor } from '../../hypervisor/hypervisor';
import { PauseFlag } from '../../hypervisor/platform';
import { PortView } from '../../hypervisor/port-view';
import {
  CHANNEL_NOTIFY_VCPU_ID,
  CHANNEL_STATE,
  DOMAIN_VALID_EVTCHNS,
  STATE_MASK,
  VCPU_IRQ_MASKED,
  XEN_CONSUMER,
} from '../../hypervisor/state-layout';

/** Words by domain and address, signed 32-bit, read without a step. */
export interface Peek {
  guest(domainId: number, address: number): number;
  /** The hypervisor's state for the domain. */
  private(domainId: number, address: number): number;
}

export class MachineView {
  constructor(
    readonly hypervisor: Hypervisor,
    private readonly peek: Peek,
  ) {}

  get domains(): readonly HvDomain[] {
    return this.hypervisor.domains;
  }

  /** A word of a domain's memory. */
  word(domainId: number, address: number): number {
    return this.peek.guest(domainId, address);
  }

  /** The ports of a domain. */
  ports(domain: HvDomain): PortView {
    return new PortView(domain, {
      guest: (address) => this.peek.guest(domain.id, address),
      private: (address) => this.peek.private(domain.id, address),
    });
  }

  isPending(domain: HvDomain, port: number): boolean {
    return this.ports(domain).isPending(port);
  }

  isMasked(domain: HvDomain, port: number): boolean {
    return this.ports(domain).isMasked(port);
  }

  /** Ports below this have a record. */
  validPorts(domain: HvDomain): number {
    return this.peek.private(domain.id, DOMAIN_VALID_EVTCHNS);
  }

  /** In use, and not by the hypervisor. */
  isUsable(domain: HvDomain, port: number): boolean {
    const state = this.peek.private(domain.id, domain.channelAddress(port) + CHANNEL_STATE);
    return (state & XEN_CONSUMER) === 0 && isInUse(state);
  }

  /** The vCPU that events of the port notify. */
  notifyVcpu(domain: HvDomain, port: number): HvVcpu {
    const id = this.peek.private(domain.id, domain.channelAddress(port) + CHANNEL_NOTIFY_VCPU_ID);
    return domain.vcpus[id] as HvVcpu;
  }

  /** Guest address of the vCPU's vcpu_info; 0 if it has none. */
  infoAddress(vcpu: HvVcpu): number {
    return this.peek.private(vcpu.domainId, vcpu.infoPointerAddress);
  }

  upcallPending(vcpu: HvVcpu): boolean {
    return (this.peek.guest(vcpu.domainId, this.infoAddress(vcpu)) & 0xff) !== 0;
  }

  upcallMasked(vcpu: HvVcpu): boolean {
    if (!vcpu.domain.isX86) return this.peek.private(vcpu.domainId, vcpu.address + VCPU_IRQ_MASKED) !== 0;
    return (this.peek.guest(vcpu.domainId, this.infoAddress(vcpu)) & 0xff00) !== 0;
  }

  /** The word that should lead the vCPU to its events and is not 0: the selector, or the ready bits of a control block. */
  announcement(vcpu: HvVcpu): string | undefined {
    const control = this.ports(vcpu.domain).controlBlock(vcpu);
    if (control !== 0) return this.peek.guest(vcpu.domainId, control) === 0 ? undefined : 'ready word';
    return this.hasSelector(vcpu) ? 'evtchn_pending_sel' : undefined;
  }

  /** Whether any selector bit is set. */
  private hasSelector(vcpu: HvVcpu): boolean {
    const { domain } = vcpu;
    const address = this.infoAddress(vcpu) + domain.selectorOffset;
    const high = domain.evtchnWordShift === 5 ? 0 : this.peek.guest(domain.id, address + 4);
    return (this.peek.guest(domain.id, address) | high) !== 0;
  }

  isAsleep(vcpu: HvVcpu): boolean {
    return (this.peek.private(vcpu.domainId, vcpu.pauseFlagsAddress) & PauseFlag.BLOCKED) !== 0;
  }

  /** The one port a sleeping vCPU polls; 0 if it does not poll, -1 if it polls several. */
  polledPort(vcpu: HvVcpu): number {
    return this.peek.private(vcpu.domainId, vcpu.pollEvtchnAddress);
  }
}

/** Whether a channel's state word says that the channel is in use. */
export function isInUse(state: number): boolean {
  const ecs = state & STATE_MASK;
  return ecs !== ECS_FREE && ecs !== ECS_RESERVED;
}

/** `vCPU 1`, or `vCPU 1 of domain 2` where there are several domains. */
export function nameOf(view: MachineView, vcpu: HvVcpu): string {
  return view.domains.length > 1 ? `vCPU ${vcpu.vcpuId} of domain ${vcpu.domainId}` : `vCPU ${vcpu.vcpuId}`;
}

export function portName(view: MachineView, domain: HvDomain, port: number): string {
  return view.domains.length > 1 ? `port ${port} of domain ${domain.id}` : `port ${port}`;
}
