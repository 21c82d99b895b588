/**
 * Argument structures of VCPUOP_*, and the record of how a vCPU spent its time.
 *
 * @source xen/include/public/vcpu.h
 */
import type { Members } from '../struct';

/** OUT of VCPUOP_get_runstate_info, and the contents of a registered runstate area. Hypervisor only. */
export const vcpu_runstate_info = {
  /** RUNSTATE_*. */
  state: 'int32',
  /** System time (ns) of the last change; bit 63 while the record is being written, if that was asked for. */
  state_entry_time: 'uint64',
  /** Nanoseconds spent in each RUNSTATE_*. */
  time: { type: 'uint64', count: 4 },
} as const satisfies Members;

export const vcpu_set_periodic_timer = {
  /** 1 ms to 2^62 - 1 ns. */
  period_ns: 'uint64',
} as const satisfies Members;

export const vcpu_set_singleshot_timer = {
  /** Absolute system time. */
  timeout_abs_ns: 'uint64',
  /** VCPU_SSHOTTMR_*. */
  flags: 'uint32',
} as const satisfies Members;

export const vcpu_register_vcpu_info = {
  /** Frame of the new place. */
  mfn: 'uint64',
  /** Within the frame; the structure may not cross its end. */
  offset: 'uint32',
  rsvd: 'uint32',
} as const satisfies Members;

export const vcpu_register_runstate_memory_area = {
  /** A pointer or an address, of 64 bits in every ABI. */
  addr: { opaque: 'uint64' },
} as const satisfies Members;

export const vcpu_register_time_memory_area = {
  /** As vcpu_register_runstate_memory_area. */
  addr: { opaque: 'uint64' },
} as const satisfies Members;
