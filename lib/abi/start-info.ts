/**
 * Flags of start_info.
 *
 * @source xen/include/public/xen.h
 */

/** start_info.flags. */
export const SIF = {
  /** Control domain. */
  SIF_PRIVILEGED: 1,
  /** Domain 0. */
  SIF_INITDOMAIN: 2,
  SIF_MULTIBOOT_MOD: 4,
  SIF_MOD_START_PFN: 8,
  SIF_VIRT_P2M_4TOOLS: 16,
  SIF_PM_MASK: 0xff00,
} as const;
