/**
 * vm_assist: options a guest switches on for its whole domain. The one with an effect here marks the copy of a vCPU's
 * runstate while it is being written; the others concern page tables and segments, which guests of this machine do not
 * have, so they are accepted where the ABI knows them, and remembered.
 *
 * @source xen/common/domain.c (do_vm_assist)
 */
import { Errno } from '../abi/errno';
import { VMASST } from '../abi/xen-version';
import type { HvDomain, HvVcpu } from './machine';
import { DOMAIN_VM_ASSIST } from './state-layout';

const EVERY_ABI = [VMASST.VMASST_TYPE_runstate_update_flag];
const PV = [
  VMASST.VMASST_TYPE_4gb_segments,
  VMASST.VMASST_TYPE_4gb_segments_notify,
  VMASST.VMASST_TYPE_writable_pagetables,
  VMASST.VMASST_TYPE_pae_extended_cr3,
  VMASST.VMASST_TYPE_architectural_iopl,
  VMASST.VMASST_TYPE_runstate_update_flag,
];

/** Is it an option of the domain's ABI? */
function isValid(domain: HvDomain, type: number): boolean {
  if (type === VMASST.VMASST_TYPE_m2p_strict) return domain.abi === 'x86_64';
  return (domain.isX86 ? PV : EVERY_ABI).includes(type as (typeof PV)[number]);
}

/**
 * vm_assist.
 * @param command - VMASST_CMD_*
 * @param type - VMASST_TYPE_*
 * @returns 0; -EINVAL for an unknown type, -ENOSYS for an unknown command
 */
export function vmAssist(current: HvVcpu, command: number, type: number): number {
  const { domain } = current;
  if (!isValid(domain, type)) return -Errno.EINVAL;
  const word = DOMAIN_VM_ASSIST + (type >>> 5) * 4;
  const bit = 1 << (type & 31);
  switch (command) {
    case VMASST.VMASST_CMD_enable:
      domain.state.or32(word, bit);
      return 0;
    case VMASST.VMASST_CMD_disable:
      domain.state.and32(word, ~bit);
      return 0;
    default:
      return -Errno.ENOSYS;
  }
}
