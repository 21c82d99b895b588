/**
 * How a guest says where upcalls enter it: __HYPERVISOR_callback_op for PV guests, a parameter for HVM guests, a fixed
 * interrupt on Arm.
 *
 * @source xen/include/public/callback.h, xen/include/public/hvm/params.h, xen/include/public/hvm/hvm_op.h, xen/include/public/arch-arm.h
 */

/** Operations, types and flags of __HYPERVISOR_callback_op. */
export const CALLBACK = {
  CALLBACKOP_register: 0,
  /** The event callback. */
  CALLBACKTYPE_event: 0,
  _CALLBACKF_mask_events: 0,
  CALLBACKF_mask_events: 1,
  CALLBACKOP_unregister: 1,
  CALLBACKTYPE_failsafe: 1,
  CALLBACKTYPE_syscall: 2,
  CALLBACKTYPE_sysenter_deprecated: 3,
  CALLBACKTYPE_nmi: 4,
  CALLBACKTYPE_sysenter: 5,
  CALLBACKTYPE_syscall32: 7,
} as const;

/** Parameters of an HVM domain; the TYPE ones stand in bits 63..56 of HVM_PARAM_CALLBACK_IRQ. */
export const HVM_PARAM = {
  HVM_PARAM_CALLBACK_IRQ: 0,
  HVM_PARAM_CALLBACK_TYPE_GSI: 0,
  HVM_PARAM_CALLBACK_TYPE_PCI_INTX: 1,
  HVM_PARAM_STORE_PFN: 1,
  HVM_PARAM_CALLBACK_TYPE_VECTOR: 2,
  HVM_PARAM_STORE_EVTCHN: 2,
  HVM_PARAM_CONSOLE_PFN: 17,
  HVM_PARAM_CONSOLE_EVTCHN: 18,
  HVM_PARAM_CALLBACK_TYPE_PPI: 2,
} as const;

/** Operations of __HYPERVISOR_hvm_op. */
export const HVMOP = {
  HVMOP_set_param: 0,
  HVMOP_get_param: 1,
  HVMOP_set_evtchn_upcall_vector: 23,
} as const;

/** Private interrupt that announces events to an Arm guest. */
export const GUEST_EVTCHN_PPI = 31;
