/**
 * Argument structures of EVTCHNOP_*, and the control block of the FIFO ABI. A comment says OUT where the hypervisor
 * writes the member; all others are read.
 *
 * @source xen/include/public/event_channel.h
 */
import type { Members } from '../struct';

export const evtchn_alloc_unbound = {
  /** Domain that gets the port: DOMID_SELF, or another one for a control domain. */
  dom: 'uint16',
  /** Domain that may connect to it. */
  remote_dom: 'uint16',
  /** OUT */
  port: 'uint32',
} as const satisfies Members;

export const evtchn_bind_interdomain = {
  remote_dom: 'uint16',
  remote_port: 'uint32',
  /** OUT */
  local_port: 'uint32',
} as const satisfies Members;

export const evtchn_bind_virq = {
  /** VIRQ_*. */
  virq: 'uint32',
  /** 0 unless the VIRQ is a per-vCPU one. */
  vcpu: 'uint32',
  /** OUT */
  port: 'uint32',
} as const satisfies Members;

export const evtchn_bind_pirq = {
  pirq: 'uint32',
  /** BIND_PIRQ__WILL_SHARE. */
  flags: 'uint32',
  /** OUT */
  port: 'uint32',
} as const satisfies Members;

export const evtchn_bind_ipi = {
  /** The vCPU that is notified; any may send. */
  vcpu: 'uint32',
  /** OUT */
  port: 'uint32',
} as const satisfies Members;

export const evtchn_close = { port: 'uint32' } as const satisfies Members;

export const evtchn_send = { port: 'uint32' } as const satisfies Members;

export const evtchn_status = {
  dom: 'uint16',
  port: 'uint32',
  /** OUT: EVTCHNSTAT_*, decides which part of `u` holds something. */
  status: 'uint32',
  /** OUT: the vCPU the channel notifies. */
  vcpu: 'uint32',
  /** OUT */
  u: {
    union: {
      unbound: { struct: { dom: 'uint16' } },
      interdomain: { struct: { dom: 'uint16', port: 'uint32' } },
      pirq: 'uint32',
      virq: 'uint32',
    },
  },
} as const satisfies Members;

export const evtchn_bind_vcpu = { port: 'uint32', vcpu: 'uint32' } as const satisfies Members;

export const evtchn_unmask = { port: 'uint32' } as const satisfies Members;

export const evtchn_reset = { dom: 'uint16' } as const satisfies Members;

export const evtchn_init_control = {
  control_gfn: 'uint64',
  /** Of the control block in its frame: a multiple of 8. */
  offset: 'uint32',
  vcpu: 'uint32',
  /** OUT: EVTCHN_FIFO_LINK_BITS. */
  link_bits: 'uint8',
  _pad: { type: 'uint8', count: 7 },
} as const satisfies Members;

export const evtchn_expand_array = { array_gfn: 'uint64' } as const satisfies Members;

export const evtchn_set_priority = {
  port: 'uint32',
  /** 0 (highest) to 15. */
  priority: 'uint32',
} as const satisfies Members;

/** FIFO ABI, one per vCPU. */
export const evtchn_fifo_control_block = {
  /** Bit q: queue q may be non-empty. The hypervisor sets bits, the owner exchanges with 0. */
  ready: 'uint32',
  _rsvd: 'uint32',
  /** First port of each queue. Hypervisor only; the owner reads after it took the ready bit. */
  head: { type: 'uint32', count: 16 },
} as const satisfies Members;
