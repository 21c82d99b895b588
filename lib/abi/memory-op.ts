/**
 * Memory operations: how frames come and go. Upcall's domains have all their frames from the start.
 *
 * @source xen/include/public/memory.h
 */

/** Operations of __HYPERVISOR_memory_op. */
export const XENMEM = {
  XENMEM_increase_reservation: 0,
  XENMEM_decrease_reservation: 1,
  XENMEM_maximum_ram_page: 2,
  XENMEM_current_reservation: 3,
  XENMEM_maximum_reservation: 4,
  XENMEM_populate_physmap: 6,
  XENMEM_add_to_physmap: 7,
  XENMEM_memory_map: 9,
  XENMEM_exchange: 11,
  XENMEM_maximum_gpfn: 14,
  XENMEM_remove_from_physmap: 15,
  XENMEM_add_to_physmap_batch: 23,
  XENMEM_acquire_resource: 28,
} as const;

/** What XENMEM_add_to_physmap can map. */
export const XENMAPSPACE = {
  XENMAPSPACE_shared_info: 0,
  XENMAPSPACE_grant_table: 1,
  XENMAPSPACE_gmfn: 2,
  XENMAPSPACE_gmfn_range: 3,
  XENMAPSPACE_gmfn_foreign: 4,
  XENMAPSPACE_dev_mmio: 5,
} as const;
