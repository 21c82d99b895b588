/**
 * The page a domain shares with the hypervisor: per-vCPU words, the bitmaps of the 2-level event-channel ABI, and
 * the wallclock.
 *
 * @source xen/include/public/xen.h, arch-x86/xen.h, arch-x86/xen-x86_32.h, arch-x86/xen-x86_64.h, arch-arm.h
 */
import type { Members } from '../struct';

const X86 = ['x86_64', 'x86_32'] as const;
const ARM = ['arm64', 'arm32'] as const;
/** Elements of the port bitmaps: as many as the selector has bits. */
const XEN_ULONG_BITS = { x86_64: 64, x86_32: 32, arm64: 64, arm32: 64 } as const;
const XEN_LEGACY_MAX_VCPUS = { x86_64: 32, x86_32: 32, arm64: 1, arm32: 1 } as const;

/** A vCPU's clock, written by the hypervisor on the vCPU's own thread. Stays zero on Arm. */
export const vcpu_time_info = {
  /** Odd while the record is being written; a reader retries if it was odd or changed. */
  version: 'uint32',
  pad0: 'uint32',
  /** Tick count at the last update. */
  tsc_timestamp: 'uint64',
  /** Nanoseconds since boot at tsc_timestamp. */
  system_time: 'uint64',
  /** Nanoseconds per (shifted) tick, as a fraction of 2^32. */
  tsc_to_system_mul: 'uint32',
  /** Applied to a tick difference before the multiplication: left if positive, right if negative. */
  tsc_shift: 'int8',
  /** XEN_PVCLOCK_*. */
  flags: 'uint8',
  pad1: { type: 'uint8', count: 2 },
} as const satisfies Members;

/** Written by the hypervisor on the vCPU's own thread, plainly. */
export const arch_vcpu_info = {
  /** Address of the last page fault. */
  cr2: { type: 'unsigned_long', only: X86 },
  pad: { type: 'unsigned_long', count: { x86_32: 5 }, only: X86 },
} as const satisfies Members;

/** What the hypervisor tells one vCPU. Moves when the vCPU registers another place (VCPUOP_register_vcpu_info). */
export const vcpu_info = {
  /**
   * Non-zero: an upcall is due. The hypervisor sets it from any thread, by a 32-bit atomic on the word that also
   * holds the mask; the owner stores 0 before it takes the selector.
   */
  evtchn_upcall_pending: 'uint8',
  /** Non-zero: upcalls are disabled. Owner only, and the hypervisor in the owner's context; plain accesses. */
  evtchn_upcall_mask: { type: 'uint8', only: X86 },
  pad0: { type: 'uint8', only: ARM },
  /**
   * Bit i: element i of evtchn_pending may have unmasked pending ports. The hypervisor sets bits from any
   * thread; the owner sets bits in its own unmask and exchanges with 0 in its upcall.
   */
  evtchn_pending_sel: 'xen_ulong',
  arch: { type: 'struct arch_vcpu_info' },
  time: { type: 'struct vcpu_time_info' },
} as const satisfies Members;

/** Memory management of PV guests (unused by Upcall), and on x86_32 a part of the wallclock. */
export const arch_shared_info = {
  max_pfn: { type: 'unsigned_long', only: X86 },
  pfn_to_mfn_frame_list_list: { type: 'unsigned_long', only: X86 },
  nmi_reason: { type: 'unsigned_long', only: X86 },
  p2m_cr3: { type: 'unsigned_long', only: X86 },
  p2m_vaddr: { type: 'unsigned_long', only: X86 },
  p2m_generation: { type: 'unsigned_long', only: X86 },
  /** High 32 bits of the wallclock's seconds. */
  wc_sec_hi: { type: 'uint32', only: ['x86_32'] },
} as const satisfies Members;

/** The shared page. All zero at start of day: every port starts unmasked. */
export const shared_info = {
  /** Slots of the first vCPUs; a vCPU that registers a place of its own leaves its slot for good. */
  vcpu_info: { type: 'struct vcpu_info', count: XEN_LEGACY_MAX_VCPUS },
  /**
   * Bit p: port p has an event. The hypervisor sets bits from any thread and clears them on close; the guest
   * clears them from any vCPU. Atomic read-modify-writes only.
   */
  evtchn_pending: { type: 'xen_ulong', count: XEN_ULONG_BITS },
  /**
   * Bit p: events of port p are kept but not announced. The guest sets and clears bits from any vCPU; the hypervisor
   * only clears, in unmask. Atomic read-modify-writes only.
   */
  evtchn_mask: { type: 'xen_ulong', count: XEN_ULONG_BITS },
  /** Odd while the wallclock is being written; as vcpu_time_info.version. */
  wc_version: 'uint32',
  /** Wallclock at system time 0: seconds since 1970, low 32 bits. */
  wc_sec: 'uint32',
  /** Nanoseconds within the second, below 10^9. */
  wc_nsec: 'uint32',
  /** High 32 bits of the seconds; on x86_32 they are in arch. */
  wc_sec_hi: { type: 'uint32', only: ['x86_64', ...ARM] },
  arch: { type: 'struct arch_shared_info' },
} as const satisfies Members;
