/**
 * What the domain builder tells an x86 PV kernel at boot. Arm guests get a device tree instead.
 *
 * @source xen/include/public/xen.h
 */
import type { Members } from '../struct';

export const start_info = {
  /** `xen-<version>-<platform>`, zero-terminated. */
  magic: { type: 'char', count: 32 },
  /** Frames the domain has. */
  nr_pages: 'unsigned_long',
  /** Address of the shared_info page. */
  shared_info: 'unsigned_long',
  /** SIF_*. */
  flags: 'uint32',
  /** Frame and port of the xenstore ring. */
  store_mfn: 'xen_pfn',
  store_evtchn: 'uint32',
  console: {
    union: {
      /** An ordinary domain's console ring: frame and port. */
      domU: { struct: { mfn: 'xen_pfn', evtchn: 'uint32' } },
      /** Domain 0: where the description of its physical console lies in this structure, and how long it is. */
      dom0: { struct: { info_off: 'uint32', info_size: 'uint32' } },
    },
  },
  /** Boot page tables, in which Upcall's guests have no part. */
  pt_base: 'unsigned_long',
  nr_pt_frames: 'unsigned_long',
  /** Frame list of the domain. */
  mfn_list: 'unsigned_long',
  mod_start: 'unsigned_long',
  mod_len: 'unsigned_long',
  /** Kernel command line, zero-terminated. */
  cmd_line: { type: 'int8', count: 1024 },
  first_p2m_pfn: 'unsigned_long',
  nr_p2m_frames: 'unsigned_long',
} as const satisfies Members;
