/**
 * Physical interrupts.
 *
 * @source xen/include/public/physdev.h
 */

/** Operations of __HYPERVISOR_physdev_op. */
export const PHYSDEVOP = {
  PHYSDEVOP_IRQ_UNMASK_NOTIFY: 4,
  /** Answers XENIRQSTAT_*. */
  PHYSDEVOP_irq_status_query: 5,
  PHYSDEVOP_set_iopl: 6,
  PHYSDEVOP_set_iobitmap: 7,
  PHYSDEVOP_apic_read: 8,
  PHYSDEVOP_apic_write: 9,
  PHYSDEVOP_alloc_irq_vector: 10,
  PHYSDEVOP_free_irq_vector: 11,
  /** The guest has dealt with the interrupt: it may fire again. */
  PHYSDEVOP_eoi: 12,
  PHYSDEVOP_map_pirq: 13,
  PHYSDEVOP_unmap_pirq: 14,
  PHYSDEVOP_manage_pci_add: 15,
  PHYSDEVOP_manage_pci_remove: 16,
  PHYSDEVOP_pirq_eoi_gmfn_v1: 17,
  PHYSDEVOP_restore_msi: 19,
  PHYSDEVOP_manage_pci_add_ext: 20,
  PHYSDEVOP_setup_gsi: 21,
  PHYSDEVOP_get_free_pirq: 23,
  PHYSDEVOP_pci_mmcfg_reserved: 24,
  PHYSDEVOP_pci_device_add: 25,
  PHYSDEVOP_pci_device_remove: 26,
  PHYSDEVOP_restore_msi_ext: 27,
  PHYSDEVOP_pirq_eoi_gmfn_v2: 28,
  PHYSDEVOP_dbgp_op: 29,
  PHYSDEVOP_prepare_msix: 30,
  PHYSDEVOP_release_msix: 31,
  PHYSDEVOP_pci_device_reset: 32,
} as const;

/** Flags of PHYSDEVOP_irq_status_query. Names with an underscore in front are bit numbers. */
export const XENIRQSTAT = {
  _XENIRQSTAT_needs_eoi: 0,
  XENIRQSTAT_needs_eoi: 1,
  _XENIRQSTAT_shared: 1,
  XENIRQSTAT_shared: 2,
} as const;
