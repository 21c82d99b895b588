/**
 * Scheduling operations of a vCPU on itself, and why a domain shut down.
 *
 * @source xen/include/public/sched.h, xen/common/sched/core.c
 */

/** Gives up the CPU. */
export const SCHEDOP_yield = 0;
/** Enables upcalls and sleeps until one is due. */
export const SCHEDOP_block = 1;
/** Stops the domain, with a SHUTDOWN_* reason. */
export const SCHEDOP_shutdown = 2;
/** Sleeps until one of some ports has an event, upcalls as they are. */
export const SCHEDOP_poll = 3;
/** Stops another domain. */
export const SCHEDOP_remote_shutdown = 4;
/** Lays down the reason a later shutdown gives. */
export const SCHEDOP_shutdown_code = 5;
/** Stops the domain unless called again in time. */
export const SCHEDOP_watchdog = 6;
/** Pins the vCPU to a physical CPU. */
export const SCHEDOP_pin_override = 7;

/** Operations of __HYPERVISOR_sched_op. */
export const SCHEDOP = {
  SCHEDOP_yield,
  SCHEDOP_block,
  SCHEDOP_shutdown,
  SCHEDOP_poll,
  SCHEDOP_remote_shutdown,
  SCHEDOP_shutdown_code,
  SCHEDOP_watchdog,
  SCHEDOP_pin_override,
} as const;

/** Bounds that the operations check. */
export const SCHEDOP_limits = {
  /** Ports one SCHEDOP_poll may name. */
  poll_max_nr_ports: 128,
  /** Watchdogs of a domain. */
  NR_DOMAIN_WATCHDOG_TIMERS: 2,
} as const;

export const SHUTDOWN_poweroff = 0;
export const SHUTDOWN_reboot = 1;
/** The domain is to be saved. */
export const SHUTDOWN_suspend = 2;
export const SHUTDOWN_crash = 3;
/** A SCHEDOP_watchdog ran out. */
export const SHUTDOWN_watchdog = 4;
/** Highest of these. */
export const SHUTDOWN_MAX = 5;
/** Restart without giving memory back. */
export const SHUTDOWN_soft_reset = 5;

/** Why a domain stopped. */
export const SHUTDOWN = {
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_suspend,
  SHUTDOWN_crash,
  SHUTDOWN_watchdog,
  SHUTDOWN_MAX,
  SHUTDOWN_soft_reset,
} as const;

/** Internal: no reason was laid down yet. */
export const SHUTDOWN_CODE_INVALID = 0xffffffff;
