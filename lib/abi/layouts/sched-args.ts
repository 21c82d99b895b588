/**
 * Argument structures of SCHEDOP_*. All members are read, none is written.
 *
 * @source xen/include/public/sched.h
 */
import type { Members } from '../struct';

/** SCHEDOP_shutdown and SCHEDOP_shutdown_code. */
export const sched_shutdown = {
  /** SHUTDOWN_*. */
  reason: 'uint32',
} as const satisfies Members;

export const sched_poll = {
  /** Address of an array of 32-bit port numbers. */
  ports: 'guest_handle',
  /** At most 128. */
  nr_ports: 'uint32',
  /** Absolute system time in nanoseconds; 0 for none. */
  timeout: 'uint64',
} as const satisfies Members;

export const sched_remote_shutdown = {
  domain_id: 'uint16',
  /** SHUTDOWN_*. */
  reason: 'uint32',
} as const satisfies Members;

export const sched_watchdog = {
  /** 0: allocate one of the two watchdogs. */
  id: 'uint32',
  /** Seconds from now; 0 frees the watchdog. */
  timeout: 'uint32',
} as const satisfies Members;
