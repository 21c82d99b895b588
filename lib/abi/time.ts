/**
 * Clocks: flags of vcpu_time_info, and how set_timer_op treats odd deadlines.
 *
 * @source xen/include/public/xen.h, xen/common/sched/core.c (do_set_timer_op)
 */

/** Flags of vcpu_time_info. */
export const XEN_PVCLOCK = {
  /** Readings of different vCPUs agree: no need to make them monotonic. */
  XEN_PVCLOCK_TSC_STABLE_BIT: 1,
  /** Never set by Xen. */
  XEN_PVCLOCK_GUEST_STOPPED: 2,
} as const;

/**
 * A non-zero deadline that is negative, or lies this far ahead (2^50 ns, about 13 days), is taken for a mistake: the timer is
 * armed for a short delay instead.
 */
export const set_timer_op_limits = {
  far_future_shift: 50,
  far_future_ns: 1_125_899_906_842_624,
  far_future_replacement_delay_ns: 100_000_000,
} as const;
