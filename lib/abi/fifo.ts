/**
 * The FIFO event-channel ABI: one 32-bit word per port, linked into 16 queues per vCPU.
 *
 * @source xen/include/public/event_channel.h
 */

/** Priorities (0 is served first), bit numbers of the event word, and capacities. */
export const FIFO = {
  EVTCHN_FIFO_PRIORITY_MAX: 0,
  EVTCHN_FIFO_PRIORITY_DEFAULT: 7,
  EVTCHN_FIFO_PRIORITY_MIN: 15,
  EVTCHN_FIFO_MAX_QUEUES: 16,
  /** Width of the LINK part of an event word. */
  EVTCHN_FIFO_LINK_BITS: 17,
  /** Bit number: the hypervisor is changing LINK, the guest must not clear MASKED. */
  EVTCHN_FIFO_BUSY: 28,
  /** Bit number: the port is on a queue. */
  EVTCHN_FIFO_LINKED: 29,
  /** Bit number. */
  EVTCHN_FIFO_MASKED: 30,
  /** Bit number. */
  EVTCHN_FIFO_PENDING: 31,
  /** LINK: the next port of the queue, 0 at its end. */
  EVTCHN_FIFO_LINK_MASK: 0x1ffff,
  EVTCHN_FIFO_NR_CHANNELS: 131072,
} as const;

/** The parts of an event word as masks; bits 17..27 are unused. */
export const FIFO_MASKS = {
  PENDING: 0x80000000,
  MASKED: 0x40000000,
  LINKED: 0x20000000,
  BUSY: 0x10000000,
  LINK: 0x0001ffff,
} as const;
