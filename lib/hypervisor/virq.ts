/**
 * Virtual interrupts: sending them, and which domain handles the global ones.
 *
 * Locks. A sender holds the vCPU's virq_lock for reading from the look-up of the port to the end of delivery; close holds
 * it for writing while it empties the slot. So no VIRQ lands on a port that was closed and given out again. The channel's
 * own lock a sender only tries: if it is held for writing, somebody is binding or closing the channel, and the event is
 * dropped as if it came a moment before or after. Order: global_virq_handlers_lock or event_lock, then virq_lock, then
 * the channel's.
 *
 * @source xen/common/event_channel.c (send_guest_vcpu_virq, send_guest_domain_virq, send_global_virq,
 * set_global_virq_handler)
 */
import { Errno } from '../abi/errno';
import { NR_VIRQS, VIRQ_CLASS } from '../abi/virq';
import { toUint32 } from './arguments';
import { type Channels, isUsable } from './channels';
import type { HvDomain, HvVcpu, Machine } from './machine';
import type { PortAbis } from './port-ops';
import {
  DOMAIN_ALIVE,
  MACHINE_GLOBAL_VIRQ_HANDLERS,
  MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK,
  VCPU_VIRQ_LOCK,
  VCPU_VIRQ_TO_EVTCHN,
} from './state-layout';

/** True for a number that is a VIRQ's; takes anything. */
export function isVirq(virq: number): boolean {
  return toUint32(virq) < NR_VIRQS;
}

/** True for a VIRQ that is bound once for each vCPU. */
export function isVcpuVirq(virq: number): boolean {
  return VIRQ_CLASS[virq] === 'vcpu';
}

/** True for a VIRQ that one domain handles for the machine. */
export function isGlobalVirq(virq: number): boolean {
  return VIRQ_CLASS[virq] === 'global';
}

export class Virqs {
  constructor(
    private readonly machine: Machine,
    private readonly channels: Channels,
    private readonly abis: PortAbis,
  ) {}

  /**
   * Raises a per-vCPU VIRQ. Dropped if it is not bound there.
   * @param virq - a per-vCPU one
   */
  sendVcpu(vcpu: HvVcpu, virq: number): void {
    const { domain } = vcpu;
    domain.state.readLock(vcpu.address + VCPU_VIRQ_LOCK);
    const port = this.port(vcpu, virq);
    if (port !== 0) this.deliver(domain, port, vcpu);
    domain.state.readUnlock(vcpu.address + VCPU_VIRQ_LOCK);
  }

  /**
   * Raises a domain or global VIRQ in this very domain, at the vCPU its channel notifies. Dropped if it is not bound.
   * @param virq - a domain or global one
   */
  sendDomain(domain: HvDomain, virq: number): void {
    const holder = domain.vcpus[0] as HvVcpu;
    domain.state.readLock(holder.address + VCPU_VIRQ_LOCK);
    const port = this.port(holder, virq);
    if (port !== 0) this.deliver(domain, port, undefined);
    domain.state.readUnlock(holder.address + VCPU_VIRQ_LOCK);
  }

  /**
   * Raises a global VIRQ at its handler. Dropped if there is none.
   * @param virq - a global one
   */
  sendGlobal(virq: number): void {
    const { global } = this.machine;
    // Without handlers there is nothing that the lock would keep together.
    if (this.machine.hardwareDomain === undefined && global.load32(handlerSlot(virq)) === 0) return;
    global.writeLock(MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK);
    const handler = this.handler(virq);
    if (handler !== undefined) this.sendDomain(handler, virq);
    global.writeUnlock(MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK);
  }

  /**
   * The toolstack names the domain that handles a global VIRQ.
   * @returns 0; -EINVAL for a number that is no global VIRQ or a domain that is dying; -EBUSY while the present handler
   * has it bound
   */
  setHandler(domain: HvDomain, virq: number): number {
    if (!isVirq(virq) || !isGlobalVirq(virq)) return -Errno.EINVAL;
    const { global } = this.machine;
    global.writeLock(MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK);
    const result = this.replaceHandler(domain, virq);
    global.writeUnlock(MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK);
    return result;
  }

  /** The domain that handles a global VIRQ, or undefined. */
  handler(virq: number): HvDomain | undefined {
    const named = this.machine.global.load32(handlerSlot(virq));
    return named === 0 ? this.machine.hardwareDomain : this.machine.domains[named - 1];
  }

  /** A domain vanishes: the global VIRQs it handled go back to the hardware domain. */
  forgetHandler(domain: HvDomain): void {
    const { global } = this.machine;
    global.writeLock(MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK);
    for (let virq = 0; virq < NR_VIRQS; virq++) {
      if (global.load32(handlerSlot(virq)) === domain.index + 1) global.store32(handlerSlot(virq), 0);
    }
    global.writeUnlock(MACHINE_GLOBAL_VIRQ_HANDLERS_LOCK);
  }

  /**
   * Is the VIRQ bound there? Domain and global ones are looked up in vCPU 0's table, for any vCPU that exists.
   * @source xen/common/event_channel.c, evtchn_virq_enabled
   */
  isEnabled(domain: HvDomain, vcpuId: number, virq: number): boolean {
    if (!isVirq(virq)) return false;
    const vcpu = domain.vcpu(vcpuId);
    return vcpu !== undefined && this.port(isVcpuVirq(virq) ? vcpu : (domain.vcpus[0] as HvVcpu), virq) !== 0;
  }

  /** Port of a VIRQ (below NR_VIRQS) in the vCPU's table; 0: not bound. */
  port(vcpu: HvVcpu, virq: number): number {
    return vcpu.domain.state.load32(slot(vcpu, virq));
  }

  /**
   * Fills a slot. Precondition: event_lock held. The last step of a bind, when the channel is complete: a sender that finds
   * the port finds the channel.
   */
  fillSlot(vcpu: HvVcpu, virq: number, port: number): void {
    vcpu.domain.state.store32(slot(vcpu, virq), port);
  }

  /** Empties a slot once no sender is delivering through it. Precondition: event_lock held. */
  emptySlot(vcpu: HvVcpu, virq: number): void {
    const { state } = vcpu.domain;
    state.writeLock(vcpu.address + VCPU_VIRQ_LOCK);
    state.store32(slot(vcpu, virq), 0);
    state.writeUnlock(vcpu.address + VCPU_VIRQ_LOCK);
  }

  private deliver(domain: HvDomain, port: number, vcpu: HvVcpu | undefined): void {
    if (!this.channels.readTrylock(domain, port)) return;
    const state = this.channels.state(domain, port);
    if (isUsable(state)) {
      this.abis.of(state).setPending(domain, vcpu ?? this.channels.notifyVcpu(domain, port), port);
    }
    this.channels.readUnlock(domain, port);
  }

  private replaceHandler(domain: HvDomain, virq: number): number {
    if (domain.status() !== DOMAIN_ALIVE) return -Errno.EINVAL;
    const present = this.handler(virq);
    if (present === domain) return 0;
    if (present !== undefined && this.port(present.vcpus[0] as HvVcpu, virq) !== 0) return -Errno.EBUSY;
    this.machine.global.store32(handlerSlot(virq), domain.index + 1);
    return 0;
  }
}

function slot(vcpu: HvVcpu, virq: number): number {
  return vcpu.address + VCPU_VIRQ_TO_EVTCHN + virq * 4;
}

function handlerSlot(virq: number): number {
  return MACHINE_GLOBAL_VIRQ_HANDLERS + virq * 4;
}
