/**
 * The four ABIs a domain can be built with, and what distinguishes them: how wide a machine word is, how strictly
 * 64-bit integers are aligned, how many vCPUs have a slot in the shared page.
 *
 * All are little-endian. Mode switches of x86 HVM guests between the 32- and 64-bit layout are not modelled: a
 * domain keeps the ABI it was built with.
 *
 * @source xen/include/public/xen.h, arch-x86/xen.h, arch-x86/xen-x86_32.h, arch-arm.h
 */

export const ABI_NAMES = ['x86_64', 'x86_32', 'arm64', 'arm32'] as const;

export type AbiName = (typeof ABI_NAMES)[number];

/** True for a name of {@link ABI_NAMES}. */
export function isAbiName(name: unknown): name is AbiName {
  return (ABI_NAMES as readonly unknown[]).includes(name);
}

/** The numbers that differ between ABIs, and a few that do not but belong beside them. Sizes in bytes. */
export interface AbiConstants {
  /** Version of the interface the tables describe (4.19 = 0x00041300). */
  readonly XEN_INTERFACE_VERSION: number;
  /** vCPUs with a vcpu_info in shared_info; further ones must register theirs. */
  readonly XEN_LEGACY_MAX_VCPUS: number;
  /** Ports of the 2-level ABI, the reserved port 0 included. */
  readonly EVTCHN_2L_NR_CHANNELS: number;
  /** Ports per selector bit: bits of an element of evtchn_pending and evtchn_mask. */
  readonly BITS_PER_EVTCHN_WORD: number;
  readonly EVTCHN_FIFO_NR_CHANNELS: number;
  readonly EVTCHN_FIFO_LINK_BITS: number;
  readonly EVTCHN_FIFO_MAX_QUEUES: number;
  readonly EVTCHN_FIFO_EVENT_WORD_SIZE: number;
  readonly EVTCHN_FIFO_EVENT_WORDS_PER_PAGE: number;
  readonly EVTCHN_FIFO_MAX_EVENT_ARRAY_PAGES: number;
  readonly NR_VIRQS: number;
  readonly XEN_PAGE_SIZE: number;
  /** 4 on x86_32 alone: 32-bit Arm shares the 64-bit layout. */
  readonly sizeof_xen_ulong_t: number;
  readonly sizeof_xen_pfn_t: number;
  readonly sizeof_unsigned_long: number;
  /** A pointer to guest memory inside a structure. */
  readonly sizeof_guest_handle_in_struct: number;
  readonly sizeof_domid_t: number;
  readonly sizeof_evtchn_port_t: number;
  /** i386 aligns 64-bit integers to 4 bytes inside structures. */
  readonly alignof_uint64_t_in_struct: number;
  readonly alignof_vcpu_info: number;
  readonly alignof_shared_info: number;
  readonly XENSTORE_RING_SIZE: number;
  /** 1 where vcpu_info has the byte evtchn_upcall_mask. */
  readonly XEN_HAVE_PV_UPCALL_MASK: number;
  /** 1 where start_info exists. */
  readonly XEN_HAVE_PV_GUEST_ENTRY: number;
  readonly little_endian: number;
}

const x86_64: AbiConstants = {
  XEN_INTERFACE_VERSION: 0x00041300,
  XEN_LEGACY_MAX_VCPUS: 32,
  EVTCHN_2L_NR_CHANNELS: 4096,
  BITS_PER_EVTCHN_WORD: 64,
  EVTCHN_FIFO_NR_CHANNELS: 131072,
  EVTCHN_FIFO_LINK_BITS: 17,
  EVTCHN_FIFO_MAX_QUEUES: 16,
  EVTCHN_FIFO_EVENT_WORD_SIZE: 4,
  EVTCHN_FIFO_EVENT_WORDS_PER_PAGE: 1024,
  EVTCHN_FIFO_MAX_EVENT_ARRAY_PAGES: 128,
  NR_VIRQS: 24,
  XEN_PAGE_SIZE: 4096,
  sizeof_xen_ulong_t: 8,
  sizeof_xen_pfn_t: 8,
  sizeof_unsigned_long: 8,
  sizeof_guest_handle_in_struct: 8,
  sizeof_domid_t: 2,
  sizeof_evtchn_port_t: 4,
  alignof_uint64_t_in_struct: 8,
  alignof_vcpu_info: 8,
  alignof_shared_info: 8,
  XENSTORE_RING_SIZE: 1024,
  XEN_HAVE_PV_UPCALL_MASK: 1,
  XEN_HAVE_PV_GUEST_ENTRY: 1,
  little_endian: 1,
};

const arm64: AbiConstants = {
  ...x86_64,
  XEN_LEGACY_MAX_VCPUS: 1,
  XEN_HAVE_PV_UPCALL_MASK: 0,
  XEN_HAVE_PV_GUEST_ENTRY: 0,
};

/** What differs between the ABIs, by ABI. */
export const ABI_CONSTANTS: Readonly<Record<AbiName, AbiConstants>> = {
  x86_64,
  x86_32: {
    ...x86_64,
    EVTCHN_2L_NR_CHANNELS: 1024,
    BITS_PER_EVTCHN_WORD: 32,
    sizeof_xen_ulong_t: 4,
    sizeof_xen_pfn_t: 4,
    sizeof_unsigned_long: 4,
    sizeof_guest_handle_in_struct: 4,
    alignof_uint64_t_in_struct: 4,
    alignof_vcpu_info: 4,
    alignof_shared_info: 4,
  },
  arm64,
  arm32: { ...arm64, sizeof_unsigned_long: 4 },
};
