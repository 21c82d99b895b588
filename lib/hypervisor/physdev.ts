/**
 * PHYSDEVOP_*: acknowledging physical interrupts (x86).
 *
 * Leaves out: everything that maps, routes or configures interrupts and PCI devices.
 *
 * @source xen/arch/x86/physdev.c
 */
import { Errno } from '../abi/errno';
import { XENIRQSTAT } from '../abi/physdev';
import { toUint32 } from './arguments';
import type { EventChannels } from './event-channel';
import { PAGE_BYTES } from './image';
import type { HvVcpu, Machine } from './machine';
import type { Pirqs } from './pirq';
import { DOMAIN_AUTO_UNMASK, DOMAIN_PIRQ_EOI_MAP } from './state-layout';

export class PhysdevOps {
  constructor(
    private readonly machine: Machine,
    private readonly pirqs: Pirqs,
    private readonly evtchn: EventChannels,
  ) {}

  /**
   * PHYSDEVOP_eoi: the guest has dealt with the interrupt. If it registered an EOI page of version 1, the port is unmasked
   * first.
   * @returns 0, also if no EOI was owed; -EINVAL for a number without an interrupt of the domain's, -ENOSYS (Arm)
   */
  eoi(current: HvVcpu, irq: number): number {
    const { domain } = current;
    if (!domain.isX86) return -Errno.ENOSYS;
    if (!this.pirqs.isMapped(domain, irq)) return -Errno.EINVAL;
    const port = this.pirqs.port(domain, irq);
    if (port !== 0 && domain.state.load32(DOMAIN_AUTO_UNMASK) !== 0) this.evtchn.unmask(current, port);
    this.pirqs.eoi(domain, irq);
    return 0;
  }

  /**
   * PHYSDEVOP_irq_status_query.
   * @returns XENIRQSTAT_*; -EINVAL for a number without an interrupt, -ENOSYS (Arm)
   */
  irqStatusQuery(current: HvVcpu, irq: number): number {
    if (!current.domain.isX86) return -Errno.ENOSYS;
    if (!this.machine.pirqExists(irq)) return -Errno.EINVAL;
    const shared = this.pirqs.guests(irq) > 1 ? XENIRQSTAT.XENIRQSTAT_shared : 0;
    return XENIRQSTAT.XENIRQSTAT_needs_eoi | shared;
  }

  /**
   * PHYSDEVOP_pirq_eoi_gmfn_v1 and _v2: the frame becomes a bitmap by PIRQ number that tells, from the moment a PIRQ is bound,
   * whether it needs an EOI.
   * @param version - 1: EOI also unmasks; 2: it does not
   * @returns 0; -EINVAL (no such frame), -EBUSY (once only), -ENOSYS (Arm)
   */
  pirqEoiGmfn(current: HvVcpu, gmfn: number, version: 1 | 2): number {
    const { domain } = current;
    if (!domain.isX86) return -Errno.ENOSYS;
    if (!domain.isMappable(gmfn) || domain.isReadOnly(gmfn)) return -Errno.EINVAL;
    if (domain.state.compareExchange32(DOMAIN_PIRQ_EOI_MAP, 0, toUint32(gmfn) * PAGE_BYTES) !== 0) return -Errno.EBUSY;
    if (version === 1) domain.state.store32(DOMAIN_AUTO_UNMASK, 1);
    return 0;
  }
}
