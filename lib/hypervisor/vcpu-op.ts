/**
 * VCPUOP_*: bringing vCPUs up and down, their timers, and the structures they register in guest memory.
 *
 * On Arm only register_vcpu_info and register_runstate_memory_area exist; anything else is -EINVAL there.
 *
 * DIFFERS: the vCPU an operation is aimed at is not paused meanwhile. Moving a vcpu_info is safe all the same against
 * senders (see {@link VcpuOps.registerVcpuInfo}); what the vCPU itself writes to the old place during the move may be lost.
 *
 * Leaves out: NMIs (send_nmi checks its argument and does nothing), get_physid.
 *
 * @source xen/common/domain.c (do_vcpu_op, map_guest_area), xen/arch/x86/domain.c (arch_do_vcpu_op)
 */
import { Errno } from '../abi/errno';
import { layoutOf } from '../abi/layouts';
import { SHUTDOWN_poweroff } from '../abi/sched';
import { VCPUOP_limits } from '../abi/vcpu';
import { toNumber, toUint32 } from './arguments';
import { PAGE_BYTES } from './image';
import type { HvDomain, HvVcpu, Machine } from './machine';
import { PauseFlag } from './platform';
import type { RunstateRecord, Runstates } from './runstate';
import type { Sched } from './sched';
import {
  VCPU_INFO_REGISTERED,
  VCPU_IS_INITIALISED,
  VCPU_RUNSTATE_GUEST,
  VCPU_RUNSTATE_GUEST_PHYS,
  VCPU_TIME_INFO_GUEST,
} from './state-layout';
import type { Time } from './time';
import type { Timers } from './timers';
import { UPCALL_MASK_OFFSET, type VcpuState } from './vcpu-state';

const { DOWN } = PauseFlag;
const EINVAL = -Errno.EINVAL;
const ENOENT = -Errno.ENOENT;
/** Frames from here on have no 64-bit address. */
const MFN_LIMIT = 2 ** 52;
const MAX_PERIOD_NS = Number(VCPUOP_limits.periodic_timer_max_ns);

export class VcpuOps {
  constructor(
    private readonly machine: Machine,
    private readonly vcpuState: VcpuState,
    private readonly sched: Sched,
    private readonly timers: Timers,
    private readonly time: Time,
    private readonly runstates: Runstates,
  ) {}

  /** Has the vCPU a vcpu_info, in the shared page or registered? */
  hasInfo(current: HvVcpu, vcpuId: number): boolean {
    const vcpu = current.domain.vcpu(vcpuId);
    return vcpu !== undefined && this.vcpuState.infoAddress(vcpu) !== 0;
  }

  /**
   * VCPUOP_initialise (x86): makes the vCPU fit to be brought up. It stays down.
   *
   * DIFFERS: a guest function, known to the engine, stands for the register context.
   * @returns 0; -ENOENT, -EINVAL (it has no vcpu_info yet), -EEXIST
   */
  initialise(current: HvVcpu, vcpuId: number): number {
    const { domain } = current;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!domain.isX86 || this.vcpuState.infoAddress(vcpu) === 0) return EINVAL;
    return domain.state.exchange32(vcpu.address + VCPU_IS_INITIALISED, 1) === 0 ? 0 : -Errno.EEXIST;
  }

  /**
   * VCPUOP_up (x86): lets an initialised vCPU run.
   * @returns 0, also if it is up already; -ENOENT, -EINVAL
   */
  up(current: HvVcpu, vcpuId: number): number {
    const { domain } = current;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!domain.isX86 || domain.state.load32(vcpu.address + VCPU_IS_INITIALISED) === 0) return EINVAL;
    this.vcpuState.clearDown(vcpu);
    return 0;
  }

  /**
   * VCPUOP_down (x86): stops a vCPU. The caller's own stops here, until another brings it up again. Another one stops when its
   * thread looks at its pause flags next. The last vCPU that is up shuts the domain down instead.
   * @returns 0; -ENOENT, -EINVAL (Arm)
   */
  down(current: HvVcpu, vcpuId: number): number {
    const { domain } = current;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!domain.isX86) return EINVAL;
    if (!this.isOtherUp(domain, vcpu)) {
      if (vcpu === current) return this.sched.shutdown(current, SHUTDOWN_poweroff);
      this.sched.shutdownDomain(domain, SHUTDOWN_poweroff);
      return 0;
    }
    domain.state.or32(vcpu.pauseFlagsAddress, DOWN);
    if (vcpu === current) this.sched.deschedule(current);
    return 0;
  }

  /**
   * VCPUOP_is_up (x86).
   * @returns 1 or 0; -ENOENT, -EINVAL (Arm)
   */
  isUp(current: HvVcpu, vcpuId: number): number {
    const { domain } = current;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!domain.isX86) return EINVAL;
    return this.isDown(vcpu) ? 0 : 1;
  }

  /**
   * VCPUOP_get_runstate_info (x86).
   * @param out - filled in when the result is 0
   * @returns 0; -ENOENT, -EINVAL (Arm)
   */
  getRunstateInfo(current: HvVcpu, vcpuId: number, out: RunstateRecord): number {
    const vcpu = current.domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!current.domain.isX86) return EINVAL;
    this.runstates.get(vcpu, out);
    return 0;
  }

  /**
   * VCPUOP_register_runstate_memory_area: keeps a copy of the vCPU's runstate at that guest address, beginning now.
   * @returns 0; -ENOENT, -EFAULT
   */
  registerRunstateMemoryArea(current: HvVcpu, vcpuId: number, address: number): number {
    const { domain } = current;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!domain.isWritable(toNumber(address), layoutOf(domain.abi, 'vcpu_runstate_info').size)) return -Errno.EFAULT;
    this.setRunstateArea(vcpu, address, 0);
    return 0;
  }

  /**
   * VCPUOP_register_runstate_phys_area (x86): the same, always with the update flag.
   * @param address - undefined: drops the area that is registered
   * @returns 0; -ENOENT, and the errors of {@link place}
   */
  registerRunstatePhysArea(current: HvVcpu, vcpuId: number, address: number | undefined): number {
    const { domain } = current;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!domain.isX86) return EINVAL;
    const area = this.placeArea(domain, address, layoutOf(domain.abi, 'vcpu_runstate_info').size);
    if (area >= 0) this.setRunstateArea(vcpu, area, 1);
    return Math.min(area, 0);
  }

  /**
   * VCPUOP_register_vcpu_time_memory_area (x86): keeps a copy of the vCPU's vcpu_time_info at that guest address.
   * @returns 0; -ENOENT, -EINVAL (Arm), -EFAULT
   */
  registerVcpuTimeMemoryArea(current: HvVcpu, vcpuId: number, address: number): number {
    const { domain } = current;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!domain.isX86) return EINVAL;
    if (!domain.isWritable(toNumber(address), layoutOf(domain.abi, 'vcpu_time_info').size)) return -Errno.EFAULT;
    if (address % 4 !== 0) return -Errno.EFAULT;
    this.setTimeArea(vcpu, address);
    return 0;
  }

  /**
   * VCPUOP_register_vcpu_time_phys_area (x86).
   * @param address - undefined: drops the area that is registered
   * @returns 0; -ENOENT, and the errors of {@link place}
   */
  registerVcpuTimePhysArea(current: HvVcpu, vcpuId: number, address: number | undefined): number {
    const { domain } = current;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!domain.isX86) return EINVAL;
    const area = this.placeArea(domain, address, layoutOf(domain.abi, 'vcpu_time_info').size);
    if (area >= 0) this.setTimeArea(vcpu, area);
    return Math.min(area, 0);
  }

  /**
   * VCPUOP_register_vcpu_info: moves the vCPU's vcpu_info to `offset` in frame `mfn`, once.
   *
   * Order: the old contents are copied, the pointer is switched, then every selector bit and the upcall flag are set. A
   * sender that read the old pointer may still have written there; its pending bit was set before, and the
   * spurious upcall that follows looks at every port. So no event is lost.
   * @returns 0; -ENOENT, -EINVAL (offset outside a frame, no such frame), -EBUSY, -ENXIO (alignment, frame border), -EACCES
   */
  registerVcpuInfo(current: HvVcpu, vcpuId: number, mfn: number, offset: number): number {
    const { domain } = current;
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (toUint32(offset) >= PAGE_BYTES || toNumber(mfn) >= MFN_LIMIT) return EINVAL;
    if (domain.state.load32(vcpu.address + VCPU_INFO_REGISTERED) !== 0) return -Errno.EBUSY;
    const address = this.place(domain, mfn, offset, domain.vcpuInfoBytes);
    if (address < 0) return address;
    if (domain.state.exchange32(vcpu.address + VCPU_INFO_REGISTERED, 1) !== 0) return -Errno.EBUSY;
    this.moveInfo(vcpu, address);
    return 0;
  }

  /**
   * VCPUOP_set_periodic_timer (x86).
   * @param periodNs - 1 ms .. 2^62 - 1 ns
   * @returns 0; -ENOENT, -EINVAL
   */
  setPeriodicTimer(current: HvVcpu, vcpuId: number, periodNs: number): number {
    const vcpu = current.domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!current.domain.isX86) return EINVAL;
    const period = toNumber(periodNs);
    if (!(period >= VCPUOP_limits.periodic_timer_min_ns) || period >= MAX_PERIOD_NS) return EINVAL;
    this.timers.setPeriodic(vcpu, period);
    return 0;
  }

  /**
   * VCPUOP_stop_periodic_timer (x86).
   * @returns 0; -ENOENT, -EINVAL (Arm)
   */
  stopPeriodicTimer(current: HvVcpu, vcpuId: number): number {
    const vcpu = current.domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!current.domain.isX86) return EINVAL;
    this.timers.setPeriodic(vcpu, 0);
    return 0;
  }

  /**
   * VCPUOP_set_singleshot_timer (x86): 0 does not mean stop but a deadline that has passed, and fires at once.
   * @param timeoutAbsNs - system time
   * @param _flags - VCPU_SSHOTTMR_future is ignored, as since Xen 4.18
   * @returns 0; -ENOENT, -EINVAL (not the caller's own vCPU, or Arm)
   */
  setSingleshotTimer(current: HvVcpu, vcpuId: number, timeoutAbsNs: number, _flags: number): number {
    const vcpu = current.domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!current.domain.isX86 || vcpu !== current) return EINVAL;
    this.timers.setSingleshot(vcpu, toNumber(timeoutAbsNs), this.machine.platform.now());
    return 0;
  }

  /**
   * VCPUOP_stop_singleshot_timer (x86).
   * @returns 0; -ENOENT, -EINVAL (not the caller's own vCPU, or Arm)
   */
  stopSingleshotTimer(current: HvVcpu, vcpuId: number): number {
    const vcpu = current.domain.vcpu(vcpuId);
    if (vcpu === undefined) return ENOENT;
    if (!current.domain.isX86 || vcpu !== current) return EINVAL;
    this.timers.stopSingleshot(vcpu);
    return 0;
  }

  private isDown(vcpu: HvVcpu): boolean {
    return (vcpu.domain.state.load32(vcpu.pauseFlagsAddress) & DOWN) !== 0;
  }

  private isOtherUp(domain: HvDomain, vcpu: HvVcpu): boolean {
    return domain.vcpus.some((other) => other !== vcpu && !this.isDown(other));
  }

  /**
   * The guest address of a structure of `bytes` bytes at `offset` in frame `mfn`.
   * @returns the address; -ENXIO (crosses a frame, or not aligned), -EINVAL (no such frame), -EACCES (not writable)
   */
  private place(domain: HvDomain, mfn: number, offset: number, bytes: number): number {
    if (offset > PAGE_BYTES - bytes || offset % domain.constants.alignof_vcpu_info !== 0) return -Errno.ENXIO;
    if (!domain.isMappable(mfn)) return EINVAL;
    if (domain.isReadOnly(mfn)) return -Errno.EACCES;
    return mfn * PAGE_BYTES + offset;
  }

  /** As {@link place}, for an address; 0 for undefined. */
  private placeArea(domain: HvDomain, address: number | undefined, bytes: number): number {
    if (address === undefined) return 0;
    const mfn = Math.floor(toNumber(address) / PAGE_BYTES);
    return this.place(domain, mfn, toNumber(address) % PAGE_BYTES, bytes);
  }

  private setRunstateArea(vcpu: HvVcpu, area: number, phys: number): void {
    vcpu.domain.state.store32(vcpu.address + VCPU_RUNSTATE_GUEST_PHYS, phys);
    vcpu.domain.state.store32(vcpu.address + VCPU_RUNSTATE_GUEST, area);
    this.runstates.publish(vcpu);
  }

  private setTimeArea(vcpu: HvVcpu, area: number): void {
    vcpu.domain.state.store32(vcpu.address + VCPU_TIME_INFO_GUEST, area);
    this.time.updateVcpu(vcpu, true);
  }

  private moveInfo(vcpu: HvVcpu, address: number): void {
    const { domain } = vcpu;
    const { guest } = domain;
    const old = this.vcpuState.infoAddress(vcpu);
    for (let offset = 0; offset < domain.vcpuInfoBytes; offset += 4) {
      guest.write32(address + offset, old === 0 ? 0 : guest.read32(old + offset));
    }
    if (old === 0 && domain.isX86) guest.write8(address + UPCALL_MASK_OFFSET, 1);
    domain.state.store32(vcpu.infoPointerAddress, address);
    for (let offset = 0; offset < domain.constants.sizeof_xen_ulong_t; offset += 4) {
      guest.store32(address + domain.selectorOffset + offset, -1);
    }
    this.vcpuState.markEventsPending(vcpu);
    this.time.updateVcpu(vcpu, true);
  }
}
