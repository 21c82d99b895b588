/**
 * What __HYPERVISOR_xen_version tells, and what vm_assist switches.
 *
 * @source xen/include/public/version.h, xen/include/public/features.h, xen/include/public/xen.h
 */

/** Operations of __HYPERVISOR_xen_version. */
export const XENVER = {
  /** Returns `major << 16 | minor`. */
  XENVER_version: 0,
  XENVER_extraversion: 1,
  XENVER_compile_info: 2,
  XENVER_capabilities: 3,
  XENVER_changeset: 4,
  XENVER_platform_parameters: 5,
  XENVER_get_features: 6,
  XENVER_pagesize: 7,
  XENVER_guest_handle: 8,
  XENVER_commandline: 9,
  XENVER_build_id: 10,
  XENVER_extraversion2: 11,
  XENVER_capabilities2: 12,
  XENVER_changeset2: 13,
  XENVER_commandline2: 14,
} as const;

/** Bits of XENVER_get_features. */
export const XENFEAT = {
  XENFEAT_writable_page_tables: 0,
  XENFEAT_NR_SUBMAPS: 1,
  XENFEAT_writable_descriptor_tables: 1,
  XENFEAT_auto_translated_physmap: 2,
  XENFEAT_supervisor_mode_kernel: 3,
  XENFEAT_pae_pgdir_above_4gb: 4,
  XENFEAT_mmu_pt_update_preserve_ad: 5,
  XENFEAT_highmem_assist: 6,
  XENFEAT_gnttab_map_avail_bits: 7,
  XENFEAT_hvm_callback_vector: 8,
  XENFEAT_hvm_safe_pvclock: 9,
  XENFEAT_hvm_pirqs: 10,
  XENFEAT_dom0: 11,
  XENFEAT_memory_op_vnode_supported: 13,
  XENFEAT_ARM_SMCCC_supported: 14,
  XENFEAT_linux_rsdp_unrestricted: 15,
  XENFEAT_not_direct_mapped: 16,
  XENFEAT_direct_mapped: 17,
  XENFEAT_runstate_phys_area: 18,
  XENFEAT_vcpu_time_phys_area: 19,
  XENFEAT_dm_msix_all_writes: 20,
} as const;

/** Operations and types of __HYPERVISOR_vm_assist. */
export const VMASST = {
  VMASST_CMD_enable: 0,
  VMASST_TYPE_4gb_segments: 0,
  VMASST_CMD_disable: 1,
  VMASST_TYPE_4gb_segments_notify: 1,
  VMASST_TYPE_writable_pagetables: 2,
  VMASST_TYPE_pae_extended_cr3: 3,
  VMASST_TYPE_architectural_iopl: 4,
  /** Mark a registered runstate area while it is being written. */
  VMASST_TYPE_runstate_update_flag: 5,
  VMASST_TYPE_m2p_strict: 32,
} as const;
