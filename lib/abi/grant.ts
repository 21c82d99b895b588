/**
 * Grant tables: how a domain lets another use its frames.
 *
 * @source xen/include/public/grant_table.h
 */

/** Operations of __HYPERVISOR_grant_table_op. */
export const GNTTABOP = {
  GNTTABOP_map_grant_ref: 0,
  GNTTABOP_unmap_grant_ref: 1,
  GNTTABOP_setup_table: 2,
  GNTTABOP_dump_table: 3,
  GNTTABOP_transfer: 4,
  GNTTABOP_copy: 5,
  GNTTABOP_query_size: 6,
  GNTTABOP_unmap_and_replace: 7,
  GNTTABOP_set_version: 8,
  GNTTABOP_get_status_frames: 9,
  GNTTABOP_get_version: 10,
  GNTTABOP_swap_grant_ref: 11,
  GNTTABOP_cache_flush: 12,
} as const;

/** Results of the operations. */
export const GNTST = {
  GNTST_okay: 0,
  GNTST_general_error: -1,
  GNTST_bad_domain: -2,
  GNTST_bad_gntref: -3,
  GNTST_bad_handle: -4,
  GNTST_bad_virt_addr: -5,
  GNTST_bad_dev_addr: -6,
  GNTST_no_device_space: -7,
  GNTST_permission_denied: -8,
  GNTST_bad_page: -9,
  GNTST_bad_copy_arg: -10,
  GNTST_address_too_big: -11,
  GNTST_eagain: -12,
  GNTST_no_space: -13,
} as const;

/** grant_entry_v1.flags. Names with an underscore in front are bit numbers. */
export const GTF = {
  GTF_invalid: 0,
  GTF_permit_access: 1,
  GTF_accept_transfer: 2,
  _GTF_readonly: 2,
  _GTF_transfer_committed: 2,
  GTF_transitive: 3,
  GTF_type_mask: 3,
  _GTF_reading: 3,
  _GTF_transfer_completed: 3,
  GTF_readonly: 4,
  GTF_transfer_committed: 4,
  _GTF_writing: 4,
  _GTF_PWT: 5,
  _GTF_PCD: 6,
  _GTF_PAT: 7,
  /** Set by the hypervisor while the frame is mapped. */
  GTF_reading: 8,
  GTF_transfer_completed: 8,
  _GTF_sub_page: 8,
  /** Set by the hypervisor while the frame is mapped writable. */
  GTF_writing: 16,
  GTF_PWT: 32,
  GTF_PCD: 64,
  GTF_PAT: 128,
  GTF_sub_page: 256,
} as const;

/** Flags of a mapping. Names with an underscore in front are bit numbers. */
export const GNTMAP = {
  _GNTMAP_device_map: 0,
  GNTMAP_device_map: 1,
  _GNTMAP_host_map: 1,
  GNTMAP_host_map: 2,
  _GNTMAP_readonly: 2,
  _GNTMAP_application_map: 3,
  GNTMAP_readonly: 4,
  _GNTMAP_contains_pte: 4,
  GNTMAP_application_map: 8,
  GNTMAP_contains_pte: 16,
  _GNTMAP_guest_avail0: 16,
  GNTMAP_guest_avail_mask: 0xffff0000,
} as const;

/** Entries the toolstack fills in. */
export const GNTTAB = {
  GNTTAB_RESERVED_CONSOLE: 0,
  GNTTAB_RESERVED_XENSTORE: 1,
  GNTTAB_NR_RESERVED_ENTRIES: 8,
} as const;

/** Flags of gnttab_copy: which end is a grant and not a frame. Names with an underscore in front are bit numbers. */
export const GNTCOPY = {
  _GNTCOPY_source_gref: 0,
  GNTCOPY_source_gref: 1,
  _GNTCOPY_dest_gref: 1,
  GNTCOPY_dest_gref: 2,
} as const;

/** What gnttab_cache_flush may ask for. */
export const GNTTAB_CACHE = {
  GNTTAB_CACHE_CLEAN: 1,
  GNTTAB_CACHE_INVAL: 2,
  GNTTAB_CACHE_SOURCE_GREF: 0x80000000,
} as const;

export type GntstName = keyof typeof GNTST;

const statusNames = new Map<number, GntstName>(
  Object.entries(GNTST).map(([name, value]) => [value, name as GntstName]),
);

/** The name of a status: `gntstName(-3)` is `'GNTST_bad_gntref'`. Unknown numbers: `'GNTST_<number>'`. */
export function gntstName(status: number): string {
  return statusNames.get(status) ?? `GNTST_${status}`;
}

/** Thrown by the typed form of a grant operation that was carried out and refused: its status is not GNTST_okay. */
export class GrantError extends Error {
  override readonly name = 'GrantError';
  /** Its name, e.g. `'GNTST_bad_gntref'`. */
  readonly code: string;

  /**
   * @param hypercall - as Xen spells it, e.g. `GNTTABOP_map_grant_ref`
   * @param status - GNTST_*, negative
   */
  constructor(
    readonly hypercall: string,
    readonly status: number,
  ) {
    const code = gntstName(status);
    super(`${hypercall}: ${code} (${status})`);
    this.code = code;
  }
}
