/**
 * Event channels: operations, what a port can be connected to, and how the 2-level ABI is asked for.
 *
 * @source xen/include/public/event_channel.h, xen/include/xen/sched.h (ECS_*)
 */

/** Connects a new local port to an unbound port of another domain (or of the own one). */
export const EVTCHNOP_bind_interdomain = 0;
/** Binds a new port to a VIRQ. */
export const EVTCHNOP_bind_virq = 1;
/** Binds a new port to a physical interrupt. */
export const EVTCHNOP_bind_pirq = 2;
/** Frees a port; the far end of an inter-domain channel becomes unbound. */
export const EVTCHNOP_close = 3;
/** Raises an event at the far end of an inter-domain channel, or on an IPI port. */
export const EVTCHNOP_send = 4;
/** What a port is connected to, as EVTCHNSTAT_*. */
export const EVTCHNOP_status = 5;
/** Makes a port that a named domain may connect to. */
export const EVTCHNOP_alloc_unbound = 6;
/** Makes a port by which vCPUs of a domain notify one of them. */
export const EVTCHNOP_bind_ipi = 7;
/** Chooses the vCPU that later events of a port notify. */
export const EVTCHNOP_bind_vcpu = 8;
/** Clears the mask bit and announces the event if one is pending. */
export const EVTCHNOP_unmask = 9;
/** Closes all ports of a domain. */
export const EVTCHNOP_reset = 10;
/** FIFO ABI: gives a vCPU its control block, and switches the domain over. */
export const EVTCHNOP_init_control = 11;
/** FIFO ABI: adds a frame of event words. */
export const EVTCHNOP_expand_array = 12;
/** FIFO ABI: chooses the queue of a port. */
export const EVTCHNOP_set_priority = 13;

/** Operations of __HYPERVISOR_event_channel_op. */
export const EVTCHNOP = {
  EVTCHNOP_bind_interdomain,
  EVTCHNOP_bind_virq,
  EVTCHNOP_bind_pirq,
  EVTCHNOP_close,
  EVTCHNOP_send,
  EVTCHNOP_status,
  EVTCHNOP_alloc_unbound,
  EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_vcpu,
  EVTCHNOP_unmask,
  EVTCHNOP_reset,
  EVTCHNOP_init_control,
  EVTCHNOP_expand_array,
  EVTCHNOP_set_priority,
} as const;

/** For the hypervisor itself: continues a reset that was interrupted. */
export const EVTCHNOP_internal = {
  EVTCHNOP_reset_cont: 14,
} as const;

/** Not in use, or reserved. */
export const EVTCHNSTAT_closed = 0;
/** Waits for a domain to connect. */
export const EVTCHNSTAT_unbound = 1;
export const EVTCHNSTAT_interdomain = 2;
export const EVTCHNSTAT_pirq = 3;
export const EVTCHNSTAT_virq = 4;
export const EVTCHNSTAT_ipi = 5;

/** What EVTCHNOP_status says of a port. */
export const EVTCHNSTAT = {
  EVTCHNSTAT_closed,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_virq,
  EVTCHNSTAT_ipi,
} as const;

/** Flags of EVTCHNOP_bind_pirq. */
export const BIND_PIRQ = {
  BIND_PIRQ__WILL_SHARE: 1,
} as const;

export const ECS_FREE = 0;
export const ECS_RESERVED = 1;
export const ECS_UNBOUND = 2;
export const ECS_INTERDOMAIN = 3;
export const ECS_PIRQ = 4;
export const ECS_VIRQ = 5;
export const ECS_IPI = 6;

/** The hypervisor's own states of a channel; a guest never sees these numbers. */
export const ECS = {
  ECS_FREE,
  ECS_RESERVED,
  ECS_UNBOUND,
  ECS_INTERDOMAIN,
  ECS_PIRQ,
  ECS_VIRQ,
  ECS_IPI,
} as const;

/** What people call the states, by number. */
export const ECS_NAMES = ['free', 'reserved', 'unbound', 'interdomain', 'PIRQ', 'VIRQ', 'IPI'] as const;

/** What the toolstack chooses where the user does not. */
export const TOOLSTACK_DEFAULTS = {
  /** Highest port of an ordinary domain, inclusive. */
  libxl_max_event_channels: 1023,
} as const;
