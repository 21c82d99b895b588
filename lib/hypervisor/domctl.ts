/**
 * XEN_DOMCTL_getdomaininfo, as far as a service of a control domain needs it: whether a domain is shut down or being destroyed.
 *
 * Left out: all other commands, the raw form (-ENOSYS), and of the flags those that say what the vCPUs are doing.
 *
 * @source xen/common/domctl.c (getdomaininfo)
 */
import { XEN_DOMINF } from '../abi/domctl';
import { Errno } from '../abi/errno';
import type { HvVcpu, Machine } from './machine';
import { DOMAIN_ALIVE, DOMAIN_IS_SHUT_DOWN, DOMAIN_SHUTDOWN_CODE } from './state-layout';

export class Domctl {
  constructor(private readonly machine: Machine) {}

  /** @returns XEN_DOMINF_* flags; -EPERM: the caller is no control domain; -ESRCH */
  getDomainInfo(current: HvVcpu, dom: number): number {
    if (!current.domain.config.privileged) return -Errno.EPERM;
    const domain = this.machine.domainById(dom);
    if (domain === undefined) return -Errno.ESRCH;
    let flags: number = domain.isX86 ? 0 : XEN_DOMINF.XEN_DOMINF_hvm_guest;
    if (domain.status() !== DOMAIN_ALIVE) flags |= XEN_DOMINF.XEN_DOMINF_dying;
    if (domain.state.load32(DOMAIN_IS_SHUT_DOWN) === 0) return flags;
    const code = (domain.state.load32(DOMAIN_SHUTDOWN_CODE) - 1) & XEN_DOMINF.XEN_DOMINF_shutdownmask;
    return flags | XEN_DOMINF.XEN_DOMINF_shutdown | (code << XEN_DOMINF.XEN_DOMINF_shutdownshift);
  }
}
