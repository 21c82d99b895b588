/**
 * Argument structures of GNTTABOP_*. Members are read unless marked OUT. `status` is a GNTST_* number.
 *
 * @source xen/include/public/grant_table.h
 */
import type { Members } from '../struct';

export const gnttab_map_grant_ref = {
  /** Where the frame is to appear: of a page in the domain's window. */
  host_addr: 'uint64',
  /** GNTMAP_*. */
  flags: 'uint32',
  ref: 'uint32',
  /** The granting domain. DOMID_SELF does not do. */
  dom: 'uint16',
  /** OUT */
  status: 'int16',
  /** OUT: names the mapping in GNTTABOP_unmap_grant_ref. */
  handle: 'uint32',
  /** OUT: the frame's machine address. */
  dev_bus_addr: 'uint64',
} as const satisfies Members;

export const gnttab_unmap_grant_ref = {
  /** 0: keep what is mapped there. */
  host_addr: 'uint64',
  /** 0: keep the device's mapping. */
  dev_bus_addr: 'uint64',
  handle: 'uint32',
  /** OUT */
  status: 'int16',
} as const satisfies Members;

export const gnttab_setup_table = {
  dom: 'uint16',
  nr_frames: 'uint32',
  /** OUT */
  status: 'int16',
  /** Address of an array that the frame numbers are stored to, each as wide as the ABI's. */
  frame_list: 'guest_handle',
} as const satisfies Members;

export const gnttab_transfer = {
  mfn: 'xen_pfn',
  domid: 'uint16',
  ref: 'uint32',
  /** OUT */
  status: 'int16',
} as const satisfies Members;

const copyPointer = {
  struct: {
    /** `ref` where the flags say so, else a frame of the caller's own. */
    u: { union: { ref: 'uint32', gmfn: 'xen_pfn' } },
    domid: 'uint16',
    offset: 'uint16',
  },
} as const;

export const gnttab_copy = {
  source: copyPointer,
  dest: copyPointer,
  /** Bytes. */
  len: 'uint16',
  /** GNTCOPY_*. */
  flags: 'uint16',
  /** OUT */
  status: 'int16',
} as const satisfies Members;

export const gnttab_query_size = {
  dom: 'uint16',
  /** OUT */
  nr_frames: 'uint32',
  /** OUT */
  max_nr_frames: 'uint32',
  /** OUT */
  status: 'int16',
} as const satisfies Members;

export const gnttab_unmap_and_replace = {
  host_addr: 'uint64',
  new_addr: 'uint64',
  handle: 'uint32',
  /** OUT */
  status: 'int16',
} as const satisfies Members;

export const gnttab_set_version = {
  /** OUT as well: the version in use. */
  version: 'uint32',
} as const satisfies Members;

export const gnttab_get_status_frames = {
  nr_frames: 'uint32',
  dom: 'uint16',
  /** OUT */
  status: 'int16',
  frame_list: 'guest_handle',
} as const satisfies Members;

export const gnttab_get_version = {
  dom: 'uint16',
  pad: 'uint16',
  /** OUT */
  version: 'uint32',
} as const satisfies Members;

export const gnttab_swap_grant_ref = {
  ref_a: 'uint32',
  ref_b: 'uint32',
  /** OUT */
  status: 'int16',
} as const satisfies Members;

export const gnttab_cache_flush = {
  a: { union: { dev_bus_addr: 'uint64', ref: 'uint32' } },
  /** In the frame, in bytes. */
  offset: 'uint16',
  length: 'uint16',
  /** GNTTAB_CACHE_*. */
  op: 'uint32',
} as const satisfies Members;
