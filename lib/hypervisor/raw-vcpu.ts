/**
 * vcpu_op as a C guest calls it.
 *
 * DIFFERS: of the register context of VCPUOP_initialise only the address is checked; the engine knows which guest
 * function the vCPU runs.
 *
 * @source xen/common/domain.c (do_vcpu_op, common_vcpu_op), xen/arch/x86/domain.c (do_vcpu_op)
 */
import { Errno } from '../abi/errno';
import * as op from '../abi/vcpu';
import { getUint32, getUint64, putUint32, putUint64 } from './guest-access';
import type { HvDomain, HvVcpu } from './machine';
import { rawLayouts } from './raw-layouts';
import { RunstateRecord } from './runstate';
import type { VcpuOps } from './vcpu-op';

const EFAULT = -Errno.EFAULT;
const EINVAL = -Errno.EINVAL;
/** A physical address of all ones drops a registered area; as a number it is rounded up. */
const ALL_ONES = 2 ** 64;

export class RawVcpuOps {
  private readonly layouts;
  /** Scratch of one call. */
  private readonly $runstate = new RunstateRecord();

  constructor(
    private readonly ops: VcpuOps,
    private readonly current: HvVcpu,
    private readonly domain: HvDomain = current.domain,
  ) {
    this.layouts = rawLayouts(domain.abi);
  }

  /**
   * @param command - VCPUOP_*
   * @param arg - guest address of its structure
   */
  call(command: number, vcpuId: number, arg: number): number {
    if (this.domain.vcpu(vcpuId) === undefined) return -Errno.ENOENT;
    switch (command) {
      case op.VCPUOP_register_vcpu_info:
        return this.registerVcpuInfo(vcpuId, arg);
      case op.VCPUOP_register_runstate_memory_area:
        return this.withArea(arg, (address) => this.ops.registerRunstateMemoryArea(this.current, vcpuId, address));
      default:
        return this.domain.isX86 ? this.callX86(command, vcpuId, arg) : EINVAL;
    }
  }

  private callX86(command: number, vcpuId: number, arg: number): number {
    const { current, ops } = this;
    switch (command) {
      case op.VCPUOP_initialise:
        return this.initialise(vcpuId, arg);
      case op.VCPUOP_up:
        return ops.up(current, vcpuId);
      case op.VCPUOP_down:
        return ops.down(current, vcpuId);
      case op.VCPUOP_is_up:
        return ops.isUp(current, vcpuId);
      case op.VCPUOP_get_runstate_info:
        return this.getRunstateInfo(vcpuId, arg);
      case op.VCPUOP_set_periodic_timer:
        return this.readable(arg, 8) ? ops.setPeriodicTimer(current, vcpuId, this.u64(arg)) : EFAULT;
      case op.VCPUOP_stop_periodic_timer:
        return ops.stopPeriodicTimer(current, vcpuId);
      case op.VCPUOP_set_singleshot_timer:
        return this.setSingleshotTimer(vcpuId, arg);
      case op.VCPUOP_stop_singleshot_timer:
        return ops.stopSingleshotTimer(current, vcpuId);
      case op.VCPUOP_send_nmi:
        return arg === 0 ? 0 : EINVAL;
      case op.VCPUOP_get_physid:
        return EINVAL;
      case op.VCPUOP_register_vcpu_time_memory_area:
        return this.withArea(arg, (address) => ops.registerVcpuTimeMemoryArea(current, vcpuId, address));
      case op.VCPUOP_register_runstate_phys_area:
        return this.withPhysArea(arg, (address) => ops.registerRunstatePhysArea(current, vcpuId, address));
      case op.VCPUOP_register_vcpu_time_phys_area:
        return this.withPhysArea(arg, (address) => ops.registerVcpuTimePhysArea(current, vcpuId, address));
      default:
        return -Errno.ENOSYS;
    }
  }

  private initialise(vcpuId: number, arg: number): number {
    if (!this.ops.hasInfo(this.current, vcpuId)) return EINVAL;
    if (!this.readable(arg, this.layouts.guestContextBytes)) return EFAULT;
    return this.ops.initialise(this.current, vcpuId);
  }

  /** vcpu_register_vcpu_info: mfn 0, offset 8. */
  private registerVcpuInfo(vcpuId: number, arg: number): number {
    if (!this.readable(arg, 16)) return EFAULT;
    const mfn = this.u64(arg);
    return this.ops.registerVcpuInfo(this.current, vcpuId, mfn, getUint32(this.domain.guest, arg + 8));
  }

  private setSingleshotTimer(vcpuId: number, arg: number): number {
    const { layouts } = this;
    if (vcpuId !== this.current.vcpuId) return EINVAL;
    if (!this.readable(arg, layouts.singleshotBytes)) return EFAULT;
    const timeout = this.u64(arg + layouts.singleshotTimeout);
    const flags = getUint32(this.domain.guest, arg + layouts.singleshotFlags);
    return this.ops.setSingleshotTimer(this.current, vcpuId, timeout, flags);
  }

  private getRunstateInfo(vcpuId: number, arg: number): number {
    const { $runstate, domain, layouts } = this;
    const result = this.ops.getRunstateInfo(this.current, vcpuId, $runstate);
    if (result < 0) return result;
    if (!domain.isWritable(arg, layouts.runstateBytes)) return EFAULT;
    const times = arg + layouts.runstateTime;
    putUint32(domain.guest, arg, $runstate.state);
    putUint64(domain.guest, arg + layouts.runstateEntryTime, $runstate.stateEntryTimeNs);
    putUint64(domain.guest, times, $runstate.running);
    putUint64(domain.guest, times + 8, $runstate.runnable);
    putUint64(domain.guest, times + 16, $runstate.blocked);
    putUint64(domain.guest, times + 24, $runstate.offline);
    return 0;
  }

  /** An area registered by virtual address: the structure holds a pointer. */
  private withArea(arg: number, register: (address: number) => number): number {
    if (!this.readable(arg, 8)) return EFAULT;
    return register(this.layouts.handleBytes === 4 ? getUint32(this.domain.guest, arg) : this.u64(arg));
  }

  private withPhysArea(arg: number, register: (address: number | undefined) => number): number {
    if (!this.readable(arg, 8)) return EFAULT;
    const address = this.u64(arg);
    return register(address >= ALL_ONES ? undefined : address);
  }

  private readable(address: number, bytes: number): boolean {
    return this.domain.isReadable(address, bytes);
  }

  private u64(address: number): number {
    return getUint64(this.domain.guest, address);
  }
}
