/**
 * Operations on vCPUs, their run states and timer limits.
 *
 * @source xen/include/public/vcpu.h, xen/common/domain.c
 */

/** Gives a vCPU its start state; it stays down. */
export const VCPUOP_initialise = 0;
/** Lets a vCPU run. */
export const VCPUOP_up = 1;
/** Stops a vCPU; the last one shuts the domain down. */
export const VCPUOP_down = 2;
/** 1 if the vCPU may run. */
export const VCPUOP_is_up = 3;
/** How the vCPU spent its time. */
export const VCPUOP_get_runstate_info = 4;
/** Keeps a copy of that record in guest memory. */
export const VCPUOP_register_runstate_memory_area = 5;
/** VIRQ_TIMER at a fixed period while the vCPU runs. */
export const VCPUOP_set_periodic_timer = 6;
export const VCPUOP_stop_periodic_timer = 7;
/** VIRQ_TIMER at a given system time. */
export const VCPUOP_set_singleshot_timer = 8;
export const VCPUOP_stop_singleshot_timer = 9;
/** Moves the vcpu_info to another place, once. */
export const VCPUOP_register_vcpu_info = 10;
/** Raises a non-maskable interrupt (x86). */
export const VCPUOP_send_nmi = 11;
export const VCPUOP_get_physid = 12;
/** Keeps a copy of the vcpu_time_info in guest memory. */
export const VCPUOP_register_vcpu_time_memory_area = 13;
export const VCPUOP_register_runstate_phys_area = 14;
export const VCPUOP_register_vcpu_time_phys_area = 15;

/** Operations of __HYPERVISOR_vcpu_op. */
export const VCPUOP = {
  VCPUOP_initialise,
  VCPUOP_up,
  VCPUOP_down,
  VCPUOP_is_up,
  VCPUOP_get_runstate_info,
  VCPUOP_register_runstate_memory_area,
  VCPUOP_set_periodic_timer,
  VCPUOP_stop_periodic_timer,
  VCPUOP_set_singleshot_timer,
  VCPUOP_stop_singleshot_timer,
  VCPUOP_register_vcpu_info,
  VCPUOP_send_nmi,
  VCPUOP_get_physid,
  VCPUOP_register_vcpu_time_memory_area,
  VCPUOP_register_runstate_phys_area,
  VCPUOP_register_vcpu_time_phys_area,
} as const;

/** Flags of VCPUOP_set_singleshot_timer; with an underscore in front, bit numbers. */
export const VCPU_SSHOTTMR = {
  /** Once: fail with -ETIME if the deadline has passed. Ignored since Xen 4.18. */
  VCPU_SSHOTTMR_future: 1,
  _VCPU_SSHOTTMR_future: 0,
} as const;

/** Bounds of the periodic timer, in nanoseconds. */
export const VCPUOP_limits = {
  periodic_timer_min_ns: 1_000_000,
  /** 2^62 - 1: beyond what a number holds exactly. */
  periodic_timer_max_ns: 4_611_686_018_427_387_903n,
  /** An x86 PV vCPU starts with its periodic timer running. */
  periodic_timer_default_ns_x86_pv: 10_000_000,
  periodic_timer_default_ns_other: 0,
} as const;

/** On a CPU. */
export const RUNSTATE_running = 0;
/** Could run, waits for a CPU. */
export const RUNSTATE_runnable = 1;
/** Sleeps in SCHEDOP_block or SCHEDOP_poll. */
export const RUNSTATE_blocked = 2;
/** Down or paused. */
export const RUNSTATE_offline = 3;

/** States of a vCPU. */
export const RUNSTATE = {
  RUNSTATE_running,
  RUNSTATE_runnable,
  RUNSTATE_blocked,
  RUNSTATE_offline,
} as const;

/** Bit of vcpu_runstate_info.state_entry_time: set while the record is being written, if the guest asked for that. */
export const XEN_RUNSTATE_UPDATE = 0x8000_0000_0000_0000n;
export const XEN_RUNSTATE_UPDATE_BIT = 63;
