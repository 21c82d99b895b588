/**
 * What a control domain may ask about domains.
 *
 * @source xen/include/public/domctl.h (xen_domctl_getdomaininfo)
 */

/** xen_domctl_getdomaininfo.flags. */
export const XEN_DOMINF = {
  /** It is being destroyed. */
  XEN_DOMINF_dying: 1,
  /** Its memory is not that of a PV guest's. */
  XEN_DOMINF_hvm_guest: 2,
  /** All its vCPUs have stopped; the reason, SHUTDOWN_*, is in bits 16-23. */
  XEN_DOMINF_shutdown: 4,
  XEN_DOMINF_paused: 8,
  XEN_DOMINF_blocked: 16,
  XEN_DOMINF_running: 32,
  XEN_DOMINF_shutdownmask: 255,
  XEN_DOMINF_shutdownshift: 16,
} as const;
