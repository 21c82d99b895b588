/**
 * Argument structure of HVMOP_set_param and HVMOP_get_param.
 *
 * @source xen/include/public/hvm/hvm_op.h
 */
import type { Members } from '../struct';

export const xen_hvm_param = {
  domid: 'uint16',
  pad: 'uint16',
  /** HVM_PARAM_*. */
  index: 'uint32',
  /** Read by set_param, written by get_param. */
  value: 'uint64',
} as const satisfies Members;
