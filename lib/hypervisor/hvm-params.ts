/**
 * HVM parameters: how a domain without start_info (on Arm) is told where its xenstore and console pages are, and by which ports.
 *
 * DIFFERS: the parameters that have nothing to do with the two read as 0 and cannot be set.
 *
 * @source xen/arch/arm/hvm.c (do_hvm_op); for x86 xen/arch/x86/hvm/hvm.c (hvmop_set_param, hvmop_get_param)
 */
import { HVM_PARAM } from '../abi/callback';
import { Errno } from '../abi/errno';
import { type HvDomain, type HvVcpu, type Machine, mayControl } from './machine';
import { DOMAIN_HVM_PARAMS } from './state-layout';

/** HVM_NR_PARAMS. */
const NR_PARAMS = 39;
/** Those that are kept, in the order of their words. */
const KEPT: readonly number[] = [
  HVM_PARAM.HVM_PARAM_STORE_PFN,
  HVM_PARAM.HVM_PARAM_STORE_EVTCHN,
  HVM_PARAM.HVM_PARAM_CONSOLE_PFN,
  HVM_PARAM.HVM_PARAM_CONSOLE_EVTCHN,
];

export class HvmParams {
  constructor(private readonly machine: Machine) {}

  /**
   * HVMOP_set_param.
   * @param value - below 2^32
   * @returns 0; -EINVAL: no such parameter, or a PV domain; -ESRCH, -EPERM
   */
  set(current: HvVcpu, dom: number, index: number, value: number): number {
    const domain = this.find(current, dom, index);
    if (typeof domain === 'number') return domain;
    const word = KEPT.indexOf(index);
    if (word < 0) return -Errno.EINVAL;
    domain.state.store32(DOMAIN_HVM_PARAMS + word * 4, value);
    return 0;
  }

  /**
   * HVMOP_get_param.
   * @returns the value; errors as {@link set}
   */
  get(current: HvVcpu, dom: number, index: number): number {
    const domain = this.find(current, dom, index);
    if (typeof domain === 'number') return domain;
    const word = KEPT.indexOf(index);
    return word < 0 ? 0 : domain.state.load32(DOMAIN_HVM_PARAMS + word * 4) >>> 0;
  }

  private find(current: HvVcpu, dom: number, index: number): HvDomain | number {
    if (!Number.isInteger(index) || index < 0 || index >= NR_PARAMS) return -Errno.EINVAL;
    const domain = this.machine.domainByAnyId(current, dom);
    if (domain === undefined) return -Errno.ESRCH;
    if (domain.isX86) return -Errno.EINVAL;
    return mayControl(current, domain) ? domain : -Errno.EPERM;
  }
}
