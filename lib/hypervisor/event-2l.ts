/**
 * The 2-level event-channel ABI: pending and mask bitmaps per domain, a selector word per vCPU.
 *
 * Takes no lock of its own; the bit operations carry it. The bitmaps are 64-bit words in the ABI (32-bit on x86_32), but
 * bit p of the array is the same bit for either width, so the operations here are 32 bits wide, as Xen's are.
 *
 * @source xen/common/event_2l.c
 */
import { Errno } from '../abi/errno';
import type { HvDomain, HvVcpu } from './machine';
import type { Observer } from './platform';
import type { PortOps } from './port-ops';
import type { VcpuState } from './vcpu-state';

/** Offset in a bitmap of the 32-bit word that holds the port's bit. */
function wordOf(port: number): number {
  return (port >>> 5) << 2;
}

export class TwoLevelPorts implements PortOps {
  constructor(
    private readonly vcpuState: VcpuState,
    private readonly observer: Observer,
  ) {}

  /**
   * Only a 0-to-1 change of the pending bit does anything. Pollers are looked for on every such change, masked or not.
   *
   * Order: pending is set, then mask read; the unmasking side clears the mask, then reads pending. The first of each is a
   * full barrier, so an edge that found the mask set is found by the unmask that follows. Then pending, selector, upcall flag, each
   * before the next: a guest that takes them in the opposite order finds whatever announced itself.
   * @source xen/common/event_2l.c, evtchn_2l_set_pending
   */
  setPending(domain: HvDomain, vcpu: HvVcpu, port: number): void {
    const bit = 1 << (port & 31);
    if ((domain.guest.or32(domain.pendingAddress + wordOf(port), bit) & bit) === 0) this.raise(domain, vcpu, port);
  }

  clearPending(domain: HvDomain, port: number): void {
    domain.guest.and32(domain.pendingAddress + wordOf(port), ~(1 << (port & 31)));
  }

  /**
   * Announces again only if the mask bit was set: a guest that has cleared it itself gets nothing. Pollers are not looked
   * at: they do not care for the mask. Order: see {@link setPending}.
   * @source xen/common/event_2l.c, evtchn_2l_unmask
   */
  unmask(domain: HvDomain, vcpu: HvVcpu, port: number): void {
    const bit = 1 << (port & 31);
    if ((domain.guest.and32(domain.maskAddress + wordOf(port), ~bit) & bit) === 0) return;
    if (this.isPending(domain, port)) this.vcpuState.announce(vcpu, port >>> domain.evtchnWordShift);
  }

  isPending(domain: HvDomain, port: number): boolean {
    return (domain.guest.read32(domain.pendingAddress + wordOf(port)) & (1 << (port & 31))) !== 0;
  }

  isMasked(domain: HvDomain, port: number): boolean {
    return (domain.guest.read32(domain.maskAddress + wordOf(port)) & (1 << (port & 31))) !== 0;
  }

  init(): void {}

  isBusy(): boolean {
    return false;
  }

  /** There are no priorities. */
  setPriority(): number {
    return -Errno.ENOSYS;
  }

  capacity(domain: HvDomain): number {
    return domain.maxEvtchns;
  }

  /** The pending bit has just gone from 0 to 1. */
  private raise(domain: HvDomain, vcpu: HvVcpu, port: number): void {
    this.observer.raised(domain.id, vcpu.vcpuId, port);
    if (!this.isMasked(domain, port)) this.vcpuState.announce(vcpu, port >>> domain.evtchnWordShift);
    this.vcpuState.checkPollers(domain, port);
  }
}
