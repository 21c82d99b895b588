/**
 * Reading the time: system time (nanoseconds since the machine booted) from vcpu_time_info, and the wallclock from
 * shared_info, each under its version protocol.
 *
 * A record's version is odd while it is being written. A reader takes the version, the fields, the version again, and
 * starts over unless it was the same even number twice: it could otherwise combine fields of two updates and see time
 * jump. Every read is an atomic load, so neither compiler nor processor moves one past another.
 *
 * Leaves out: the comparison with other vCPUs that a guest needs where TSC_STABLE is clear. Here all vCPUs read one
 * clock.
 *
 * @source xen/include/public/xen.h (struct vcpu_time_info), Linux arch/x86/kernel/pvclock.c
 */
import type { Word32 } from '../memory/fields';
import type { Memory } from '../memory/memory';
import type { Vcpu } from './vcpu';

const TWO_TO_16 = 0x1_0000;
const TWO_TO_32 = 0x1_0000_0000;
const NS_PER_SECOND = 1_000_000_000;

/** A point in time, as seconds since 1970 and nanoseconds below 10^9. */
export interface Wallclock {
  seconds: number;
  ns: number;
}

/** An unsigned 64-bit field; exact below 2^53. */
function load64(memory: Memory, address: number): number {
  return (memory.load32(address + 4) >>> 0) * TWO_TO_32 + (memory.load32(address) >>> 0);
}

/** The version of a record that is not being written. */
function stableVersion(vcpu: Vcpu, version: Word32): number {
  for (;;) {
    const value = version.load();
    if ((value & 1) === 0) return value;
    vcpu.relax();
  }
}

/**
 * Ticks of a clock in nanoseconds: floor(ticks * 2^shift * multiplier / 2^32) with nothing lost in between.
 * @param ticks - 0 <= ticks < 2^53
 * @param multiplier - unsigned 32-bit: nanoseconds per shifted tick, as a fraction of 2^32
 * @param shift - -31..31; to the left if positive
 * @returns exact below 2^53
 */
export function scaleTicks(ticks: number, multiplier: number, shift: number): number {
  const shifted = Math.floor(ticks * 2 ** shift);
  const high = Math.floor(shifted / TWO_TO_32);
  const low = shifted % TWO_TO_32;
  // low * multiplier has up to 64 bits: taken as two products of 48. Flooring the lower one first leaves the
  // floor of the sum as it is.
  const upper = low * Math.floor(multiplier / TWO_TO_16);
  const lower = Math.floor((low * (multiplier % TWO_TO_16)) / TWO_TO_16);
  return high * multiplier + Math.floor((upper + lower) / TWO_TO_16);
}

/**
 * System time in nanoseconds since the machine booted. Never goes backwards on one vCPU. On Arm, where
 * vcpu_time_info stays zero, it is the architected timer's count.
 */
export function systemTimeNs(vcpu: Vcpu): number {
  const { memory } = vcpu;
  const { version, tsc_timestamp, system_time, tsc_to_system_mul, tsc_shift } = vcpu.info.time;
  for (;;) {
    const before = stableVersion(vcpu, version);
    const stamp = load64(memory, tsc_timestamp.address);
    const base = load64(memory, system_time.address);
    const multiplier = tsc_to_system_mul.load() >>> 0;
    const shift = (memory.load8(tsc_shift.address) << 24) >> 24;
    // The tick count too is taken under the version: one from before an update would lie before its time stamp.
    const now = vcpu.now();
    if (version.load() !== before) continue;
    return multiplier === 0 ? now : base + scaleTicks(now - stamp, multiplier, shift);
  }
}

/**
 * Writes the time of day to the caller's record: the wallclock at system time 0, which the hypervisor publishes, plus
 * the system time.
 */
export function readWallclock(vcpu: Vcpu, into: Wallclock): void {
  const { wc_version, wc_sec, wc_nsec, xen_wc_sec_hi } = vcpu.sharedInfo;
  for (;;) {
    const before = stableVersion(vcpu, wc_version);
    const seconds = (xen_wc_sec_hi.load() >>> 0) * TWO_TO_32 + (wc_sec.load() >>> 0);
    const ns = wc_nsec.load() >>> 0;
    if (wc_version.load() !== before) continue;
    const sinceBoot = systemTimeNs(vcpu);
    const total = ns + (sinceBoot % NS_PER_SECOND);
    into.seconds = seconds + Math.floor(sinceBoot / NS_PER_SECOND) + Math.floor(total / NS_PER_SECOND);
    into.ns = total % NS_PER_SECOND;
    return;
  }
}
