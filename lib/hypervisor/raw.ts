/**
 * Hypercalls as a C guest makes them: Xen's numbers, pointers as addresses in guest memory, structures there in the
 * layout of the domain's ABI, 0 or a result or a negated errno in return. Never throws, whatever the arguments are.
 *
 * A structure that is not in memory, or a result that cannot be stored, gives -EFAULT. Pointers may be unaligned. Hypercalls
 * and commands that are left out give -ENOSYS.
 *
 * @source xen/include/hypercall-defs.c, xen/common/sched/core.c, xen/common/domain.c, xen/arch/x86/physdev.c
 */
import { HVMOP } from '../abi/callback';
import { Errno } from '../abi/errno';
import { HYPERCALLS } from '../abi/hypercall-numbers';
import { PHYSDEVOP } from '../abi/physdev';
import * as sched from '../abi/sched';
import { toNumber } from './arguments';
import { getUint16, getUint32, getUint64, putUint32, putUint64 } from './guest-access';
import type { Hypervisor } from './hypervisor';
import type { HvDomain, HvVcpu } from './machine';
import { RawEventChannelOps } from './raw-event-channel';
import { RawGrantOps } from './raw-grant';
import { rawLayouts } from './raw-layouts';
import { RawVcpuOps } from './raw-vcpu';
import { vmAssist } from './vm-assist';

const EFAULT = -Errno.EFAULT;
const ENOSYS = -Errno.ENOSYS;
const EINVAL = -Errno.EINVAL;
const TWO_TO_32 = 0x1_0000_0000;
const TWO_TO_63 = 2 ** 63;

export class RawHypercalls {
  private readonly eventChannel: RawEventChannelOps;
  private readonly grant: RawGrantOps;
  private readonly vcpu: RawVcpuOps;
  private readonly domain: HvDomain;
  private readonly layouts;

  constructor(
    private readonly hypervisor: Hypervisor,
    private readonly current: HvVcpu,
  ) {
    this.domain = current.domain;
    this.eventChannel = new RawEventChannelOps(hypervisor.evtchn, current);
    this.grant = new RawGrantOps(hypervisor.grants, current);
    this.vcpu = new RawVcpuOps(hypervisor.vcpuOps, current);
    this.layouts = rawLayouts(current.domain.abi);
  }

  /**
   * @param number - __HYPERVISOR_*
   * @param a - first argument, mostly the command; the meaning of the others depends on it
   */
  call(number: number, a = 0, b = 0, c = 0): number {
    switch (number) {
      case HYPERCALLS.__HYPERVISOR_event_channel_op:
        return this.eventChannel.call(command(a), pointer(b));
      case HYPERCALLS.__HYPERVISOR_sched_op:
        return this.schedOp(command(a), pointer(b));
      case HYPERCALLS.__HYPERVISOR_sched_op_compat:
        return this.schedOpCompat(command(a), toNumber(b));
      case HYPERCALLS.__HYPERVISOR_vcpu_op:
        return this.vcpu.call(command(a), command(b), pointer(c));
      case HYPERCALLS.__HYPERVISOR_set_timer_op:
        return this.setTimerOp(toNumber(a), toNumber(b));
      case HYPERCALLS.__HYPERVISOR_console_io:
        return this.hypervisor.console.io(this.current, command(a), command(b), pointer(c));
      case HYPERCALLS.__HYPERVISOR_xen_version:
        return this.hypervisor.version.op(this.current, command(a), pointer(b));
      case HYPERCALLS.__HYPERVISOR_grant_table_op:
        return this.grant.call(command(a), pointer(b), command(c));
      case HYPERCALLS.__HYPERVISOR_vm_assist:
        return vmAssist(this.current, command(a), command(b));
      case HYPERCALLS.__HYPERVISOR_physdev_op:
        return this.physdevOp(command(a), pointer(b));
      case HYPERCALLS.__HYPERVISOR_hvm_op:
        return this.hvmOp(command(a), pointer(b));
      default:
        return ENOSYS;
    }
  }

  private schedOp(cmd: number, arg: number): number {
    switch (cmd) {
      case sched.SCHEDOP_yield:
        return this.hypervisor.sched.yield(this.current);
      case sched.SCHEDOP_block:
        return this.hypervisor.sched.block(this.current);
      case sched.SCHEDOP_shutdown:
        return this.readable(arg, 4) ? this.hypervisor.sched.shutdown(this.current, this.u32(arg)) : EFAULT;
      case sched.SCHEDOP_shutdown_code:
        return this.readable(arg, 4) ? this.hypervisor.sched.shutdownCode(this.current, this.u32(arg)) : EFAULT;
      case sched.SCHEDOP_poll:
        return this.poll(arg);
      case sched.SCHEDOP_remote_shutdown:
        return this.remoteShutdown(arg);
      case sched.SCHEDOP_watchdog:
        return this.readable(arg, 8)
          ? this.hypervisor.sched.watchdog(this.current, this.u32(arg), this.u32(arg + 4))
          : EFAULT;
      default:
        return ENOSYS;
    }
  }

  /** The older form: the argument is the reason itself. */
  private schedOpCompat(cmd: number, arg: number): number {
    switch (cmd) {
      case sched.SCHEDOP_yield:
        return this.hypervisor.sched.yield(this.current);
      case sched.SCHEDOP_block:
        return this.hypervisor.sched.block(this.current);
      case sched.SCHEDOP_shutdown:
        return this.hypervisor.sched.shutdown(this.current, arg);
      default:
        return ENOSYS;
    }
  }

  private poll(arg: number): number {
    const { domain, layouts } = this;
    if (!this.readable(arg, layouts.pollBytes)) return EFAULT;
    const ports =
      layouts.handleBytes === 4 ? this.u32(arg + layouts.pollPorts) : getUint64(domain.guest, arg + layouts.pollPorts);
    const count = this.u32(arg + layouts.pollNrPorts);
    const timeout = getUint64(domain.guest, arg + layouts.pollTimeout);
    return this.hypervisor.sched.pollArray(this.current, ports, count, timeout);
  }

  /** sched_remote_shutdown: domain_id 0, reason 4. */
  private remoteShutdown(arg: number): number {
    if (!this.readable(arg, 8)) return EFAULT;
    const dom = getUint16(this.domain.guest, arg);
    return this.hypervisor.sched.remoteShutdown(this.current, dom, this.u32(arg + 4));
  }

  /** A signed 64-bit deadline: one argument, or two halves on x86_32. */
  private setTimerOp(a: number, b: number): number {
    const wide = this.domain.abi === 'x86_32' ? (a >>> 0) + (b | 0) * TWO_TO_32 : Math.trunc(a);
    return this.hypervisor.timers.setTimerOp(this.current, wide >= TWO_TO_63 ? wide - 2 * TWO_TO_63 : wide);
  }

  private physdevOp(cmd: number, arg: number): number {
    const { current, domain } = this;
    const { physdev } = this.hypervisor;
    if (!domain.isX86) return ENOSYS;
    switch (cmd) {
      case PHYSDEVOP.PHYSDEVOP_eoi:
        return this.readable(arg, 4) ? physdev.eoi(current, this.u32(arg)) : EFAULT;
      case PHYSDEVOP.PHYSDEVOP_irq_status_query:
        return this.irqStatusQuery(arg);
      case PHYSDEVOP.PHYSDEVOP_pirq_eoi_gmfn_v1:
      case PHYSDEVOP.PHYSDEVOP_pirq_eoi_gmfn_v2:
        return this.pirqEoiGmfn(arg, cmd === PHYSDEVOP.PHYSDEVOP_pirq_eoi_gmfn_v1 ? 1 : 2);
      default:
        return ENOSYS;
    }
  }

  /** physdev_irq_status_query: irq 0 -> flags 4. */
  private irqStatusQuery(arg: number): number {
    if (!this.readable(arg, 8)) return EFAULT;
    const flags = this.hypervisor.physdev.irqStatusQuery(this.current, this.u32(arg));
    if (flags < 0) return flags;
    if (!this.domain.isWritable(arg + 4, 4)) return EFAULT;
    putUint32(this.domain.guest, arg + 4, flags);
    return 0;
  }

  /** physdev_pirq_eoi_gmfn: gmfn 0, as wide as the ABI's frame numbers. */
  private pirqEoiGmfn(arg: number, version: 1 | 2): number {
    const bytes = this.domain.constants.sizeof_xen_pfn_t;
    if (!this.readable(arg, bytes)) return EFAULT;
    const gmfn = bytes === 8 ? getUint64(this.domain.guest, arg) : this.u32(arg);
    return this.hypervisor.physdev.pirqEoiGmfn(this.current, gmfn, version);
  }

  /** xen_hvm_param: domid 0, index 4, value 8. */
  private hvmOp(cmd: number, arg: number): number {
    const { current, domain } = this;
    const { hvmParams } = this.hypervisor;
    if (cmd !== HVMOP.HVMOP_set_param && cmd !== HVMOP.HVMOP_get_param) return ENOSYS;
    if (!this.readable(arg, 16)) return EFAULT;
    const dom = getUint16(domain.guest, arg);
    const index = this.u32(arg + 4);
    if (cmd === HVMOP.HVMOP_set_param) {
      const value = getUint64(domain.guest, arg + 8);
      return value < TWO_TO_32 ? hvmParams.set(current, dom, index, value) : EINVAL;
    }
    const value = hvmParams.get(current, dom, index);
    if (value < 0) return value;
    if (!domain.isWritable(arg + 8, 8)) return EFAULT;
    putUint64(domain.guest, arg + 8, value);
    return 0;
  }

  private readable(address: number, bytes: number): boolean {
    return this.domain.isReadable(address, bytes);
  }

  private u32(address: number): number {
    return getUint32(this.domain.guest, address);
  }
}

/** An `unsigned int` argument: the low 32 bits of what was passed. */
function command(value: number): number {
  return toNumber(value) >>> 0;
}

/** A pointer argument. What is no address is an address outside memory. */
function pointer(value: number): number {
  const address = toNumber(value);
  return Number.isInteger(address) ? address : -1;
}
