/**
 * Clocks in guest memory: vcpu_time_info of each vCPU and the wallclock of each domain, both under a version word that is
 * odd while they change.
 *
 * The machine has one clock of 1 GHz, so a tick is a nanosecond and system time equals the tick count: multiplier
 * 0x80000000, shift 1. A calibration only moves the point that the line goes through.
 *
 * Order, for a reader that takes the version, the fields, and the version again: version made odd, barrier, fields, barrier,
 * version made even. Writers of one record exclude each other: vcpu_time_info is written on the vCPU's own thread or while
 * the vCPU does not run, wallclocks under wallclock_lock.
 *
 * On Arm vcpu_time_info stays zero; guests use the architected timer.
 *
 * @source xen/arch/x86/time.c (__update_vcpu_system_time), xen/common/time.c (update_domain_wallclock_time)
 */
import { layoutOf } from '../abi/layouts';
import { XEN_PVCLOCK } from '../abi/time';
import type { Memory } from '../memory/memory';
import type { HvDomain, HvVcpu, Machine } from './machine';
import { readPair, writePair } from './pairs';
import {
  DOMAIN_REMOVED,
  DOMAIN_TIME_OFFSET_SECONDS,
  MACHINE_TIME_GENERATION,
  MACHINE_TIME_LOCK,
  MACHINE_TIME_STAMP,
  MACHINE_WALLCLOCK_LOCK,
  MACHINE_WC_NSEC,
  MACHINE_WC_SEC,
  VCPU_TIME_GENERATION,
  VCPU_TIME_INFO_GUEST,
} from './state-layout';

/** 2^32 * 10^9 / (2 * frequency), the frequency of 1 GHz brought into Xen's range by one doubling. */
export const TSC_TO_SYSTEM_MUL = 0x80000000;
export const TSC_SHIFT = 1;

const time = layoutOf('x86_64', 'vcpu_time_info');
const VERSION = fieldOffset('version');
const TSC_TIMESTAMP = fieldOffset('tsc_timestamp');
const SYSTEM_TIME = fieldOffset('system_time');
const MUL = fieldOffset('tsc_to_system_mul');
/** tsc_shift, flags and two bytes of padding. */
const SHIFT_AND_FLAGS = fieldOffset('tsc_shift');

function fieldOffset(field: string): number {
  return time.fields[field]?.offset as number;
}

/** Where the wallclock lies in guest memory. */
function wallclockOffset(domain: HvDomain, field: string): number {
  const { fields } = layoutOf(domain.abi, 'shared_info');
  const direct = fields[field];
  if (direct !== undefined) return direct.offset;
  // x86_32 has found room for the upper half in the architecture's part only.
  return (fields.arch?.offset as number) + (layoutOf(domain.abi, 'arch_shared_info').fields[field]?.offset as number);
}

/** First half of the version protocol; returns the odd version. */
function beginUpdate(memory: Memory, address: number): number {
  const version = (memory.read32(address) + 1) | 1;
  memory.write32(address, version);
  memory.fence();
  return version;
}

/** Second half. */
function endUpdate(memory: Memory, address: number, version: number): void {
  memory.fence();
  memory.write32(address, version + 1);
}

/** Writes one vcpu_time_info. */
export function writeTimeInfo(memory: Memory, address: number, stamp: number): void {
  const version = beginUpdate(memory, address + VERSION);
  writePair(memory, address + TSC_TIMESTAMP, stamp);
  writePair(memory, address + SYSTEM_TIME, stamp);
  memory.write32(address + MUL, TSC_TO_SYSTEM_MUL);
  memory.write32(address + SHIFT_AND_FLAGS, TSC_SHIFT | (XEN_PVCLOCK.XEN_PVCLOCK_TSC_STABLE_BIT << 8));
  endUpdate(memory, address + VERSION, version);
}

/** Writes the wallclock fields of a domain. */
export function writeWallclock(domain: HvDomain, memory: Memory, seconds: number, nanoseconds: number): void {
  const base = domain.sharedInfoAddress;
  const version = base + wallclockOffset(domain, 'wc_version');
  const odd = beginUpdate(memory, version);
  memory.write32(base + wallclockOffset(domain, 'wc_sec'), seconds | 0);
  memory.write32(base + wallclockOffset(domain, 'wc_sec_hi'), Math.floor(seconds / 0x1_0000_0000) | 0);
  memory.write32(base + wallclockOffset(domain, 'wc_nsec'), nanoseconds);
  endUpdate(memory, version, odd);
}

export class Time {
  constructor(private readonly machine: Machine) {}

  /** True for a domain whose vCPUs have a vcpu_time_info that is kept up to date. */
  private keepsTime(domain: HvDomain): boolean {
    return domain.isX86 && domain.config.timekeeping;
  }

  /**
   * Rewrites the vCPU's vcpu_time_info, and its registered copy, if a calibration has changed it since.
   * On the vCPU's own thread, or while it does not run.
   * @param force - rewrite it in any case
   */
  updateVcpu(vcpu: HvVcpu, force: boolean): void {
    const { domain } = vcpu;
    if (!this.keepsTime(domain)) return;
    const { global } = this.machine;
    const seen = vcpu.address + VCPU_TIME_GENERATION;
    if (!force && domain.state.read32(seen) === global.load32(MACHINE_TIME_GENERATION)) return;
    global.readLock(MACHINE_TIME_LOCK);
    const generation = global.read32(MACHINE_TIME_GENERATION);
    const stamp = readPair(global, MACHINE_TIME_STAMP);
    global.readUnlock(MACHINE_TIME_LOCK);
    domain.state.write32(seen, generation);
    const info = domain.state.load32(vcpu.infoPointerAddress);
    if (info !== 0) writeTimeInfo(domain.guest, info + domain.timeOffset, stamp);
    this.copyToArea(vcpu, info, stamp);
  }

  /** Takes the present as the point from which vCPUs reckon. Each publishes it when it is switched in next. */
  calibrate(): void {
    const { global } = this.machine;
    global.writeLock(MACHINE_TIME_LOCK);
    writePair(global, MACHINE_TIME_STAMP, this.machine.platform.now());
    global.store32(MACHINE_TIME_GENERATION, global.read32(MACHINE_TIME_GENERATION) + 1);
    global.writeUnlock(MACHINE_TIME_LOCK);
  }

  /**
   * Sets the host's wallclock, in every domain. No event is sent.
   * @param seconds - since 1970, at system time 0
   * @param nanoseconds - 0 .. 999999999
   */
  setWallclock(seconds: number, nanoseconds: number): void {
    const { global } = this.machine;
    global.writeLock(MACHINE_WALLCLOCK_LOCK);
    writePair(global, MACHINE_WC_SEC, seconds);
    global.write32(MACHINE_WC_NSEC, nanoseconds);
    this.publishWallclocks();
    global.writeUnlock(MACHINE_WALLCLOCK_LOCK);
  }

  /** Sets by how many seconds a domain's wallclock differs from the host's. */
  setTimeOffset(domain: HvDomain, seconds: number): void {
    const { global } = this.machine;
    global.writeLock(MACHINE_WALLCLOCK_LOCK);
    domain.state.write32(DOMAIN_TIME_OFFSET_SECONDS, seconds);
    this.publishWallclock(domain);
    global.writeUnlock(MACHINE_WALLCLOCK_LOCK);
  }

  /** Writes every domain's wallclock anew. Precondition: wallclock_lock held, perhaps by a thread that is dead. */
  publishWallclocks(): void {
    for (const domain of this.machine.domains) this.publishWallclock(domain);
  }

  /** Precondition: wallclock_lock held. */
  private publishWallclock(domain: HvDomain): void {
    if (!domain.config.timekeeping || domain.status() === DOMAIN_REMOVED) return;
    const { global } = this.machine;
    const seconds = readPair(global, MACHINE_WC_SEC) + domain.state.read32(DOMAIN_TIME_OFFSET_SECONDS);
    writeWallclock(domain, domain.guest, seconds, global.read32(MACHINE_WC_NSEC));
  }

  /** The registered copy follows with the version numbers of the original. */
  private copyToArea(vcpu: HvVcpu, info: number, stamp: number): void {
    const { guest, state } = vcpu.domain;
    const area = state.load32(vcpu.address + VCPU_TIME_INFO_GUEST);
    if (area === 0) return;
    if (info !== 0) guest.write32(area + VERSION, guest.read32(info + vcpu.domain.timeOffset + VERSION) - 2);
    writeTimeInfo(guest, area, stamp);
  }
}
