/**
 * Argument structures of PHYSDEVOP_*: acknowledging physical interrupts.
 *
 * @source xen/include/public/physdev.h
 */
import type { Members } from '../struct';

export const physdev_eoi = { irq: 'uint32' } as const satisfies Members;

export const physdev_irq_status_query = {
  irq: 'uint32',
  /** OUT: XENIRQSTAT_*. */
  flags: 'uint32',
} as const satisfies Members;

export const physdev_pirq_eoi_gmfn = {
  /** Frame of the bitmap of PIRQs that need an EOI. */
  gmfn: 'xen_pfn',
} as const satisfies Members;
