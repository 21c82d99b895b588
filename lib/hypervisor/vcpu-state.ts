/**
 * What happens to a vCPU from outside: marking it as having events, kicking it, ending its sleep, waking its thread;
 * and the test it makes itself before it sleeps.
 *
 * Ordering. Two pairs of actors each change one word and then look at the other's. Each change is an atomic
 * read-modify-write, a full barrier like LOCK-prefixed instructions, so the plain read behind it is not early, and at least
 * one of the two sees the other's change:
 * - waker: set evtchn_upcall_pending, then test BLOCKED; sleeper: set BLOCKED, then test evtchn_upcall_pending. Either the
 *   waker finds BLOCKED and clears it, or the sleeper finds the upcall.
 * - sender: set a port's pending bit, then read the poll mask; poller: set its poll bit, then read the pending bits.
 *
 * evtchn_upcall_mask is not read here but by the vCPU itself ({@link VcpuState.upcallDeliverable}): a sender marks and
 * wakes, the target decides.
 *
 * Leaves out: interrupting a vCPU that is running. Its own thread looks at evtchn_upcall_pending at its next window.
 *
 * @source xen/arch/x86/domain.c (vcpu_mark_events_pending, vcpu_kick), xen/common/sched/core.c (vcpu_unblock),
 * xen/common/event_channel.c (evtchn_check_pollers)
 */
import type { LockableMemory } from '../memory/memory';
import type { HvDomain, HvVcpu } from './machine';
import { type Observer, PauseFlag } from './platform';
import { DOMAIN_POLL_MASK, MACHINE_DUMMY_VCPU_INFO, VCPU_IRQ_MASKED } from './state-layout';

const { BLOCKED, DOWN, PARKED } = PauseFlag;
// Copies in this module: constants to the compiler, where an import is a property that is looked up per event.
const POLL_MASK = DOMAIN_POLL_MASK;
const DUMMY_INFO = MACHINE_DUMMY_VCPU_INFO;

/** In the first word of vcpu_info: the byte evtchn_upcall_pending. */
const UPCALL_PENDING_BYTE = 0xff;
/** In the first word of vcpu_info: the byte evtchn_upcall_mask (padding on Arm). */
const UPCALL_MASK_BYTE = 0xff00;
/** Offset of evtchn_upcall_mask in vcpu_info. */
export const UPCALL_MASK_OFFSET = 1;

export class VcpuState {
  constructor(
    private readonly global: LockableMemory,
    private readonly observer: Observer,
  ) {}

  /**
   * Guest address of the vCPU's vcpu_info; 0 when it has none.
   *
   * A sender reads it after it has set a pending bit. If it still finds the old place, the move was not complete then,
   * and the move ends with an upcall and every selector bit set: the guest finds the pending bit.
   */
  infoAddress(vcpu: HvVcpu): number {
    return vcpu.domain.state.read32(vcpu.infoPointerAddress);
  }

  /**
   * Makes the vCPU look at the ports behind one selector bit (0..63): sets the bit and, if it was clear, marks the vCPU. If
   * it was set, whoever set it has marked the vCPU or is about to.
   */
  announce(vcpu: HvVcpu, selectorBit: number): void {
    const { domain } = vcpu;
    const info = this.infoAddress(vcpu);
    const memory = info === 0 ? this.global : domain.guest;
    const address = info === 0 ? DUMMY_INFO : info;
    const bit = 1 << (selectorBit & 31);
    if ((memory.or32(address + domain.selectorOffset + (selectorBit >>> 5) * 4, bit) & bit) !== 0) return;
    if ((memory.or32(address, 1) & 1) === 0) this.kick(vcpu);
  }

  /**
   * Sets evtchn_upcall_pending and, if it was clear, kicks the vCPU. The mask plays no part. The operation is 32 bits
   * wide, as Xen's is, and changes bit 0 alone.
   */
  markEventsPending(vcpu: HvVcpu): void {
    const info = this.infoAddress(vcpu);
    const memory = info === 0 ? this.global : vcpu.domain.guest;
    if ((memory.or32(info === 0 ? DUMMY_INFO : info, 1) & 1) === 0) this.kick(vcpu);
  }

  /**
   * Ends SCHEDOP_block or SCHEDOP_poll of the vCPU, if it is in one.
   *
   * The winner of BLOCKED cleans up after a poll. If it also takes the poll bit, it clears BLOCKED once more: the vCPU may
   * have returned at once and be setting up its next poll, which must not sleep now that nobody would find its poll bit.
   */
  unblock(vcpu: HvVcpu): void {
    const { state } = vcpu.domain;
    // Spares a vCPU that is running the locked operation. The read follows one of this thread, so it is ordered like it.
    if ((state.read32(vcpu.pauseFlagsAddress) & BLOCKED) === 0) return;
    let flags = state.and32(vcpu.pauseFlagsAddress, ~BLOCKED);
    if ((flags & BLOCKED) === 0) return;
    if (state.load32(vcpu.pollEvtchnAddress) !== 0) {
      state.store32(vcpu.pollEvtchnAddress, 0);
      if (this.testAndClearPollBit(vcpu)) flags |= state.and32(vcpu.pauseFlagsAddress, ~BLOCKED);
    }
    this.wake(vcpu, flags);
  }

  /** Clears the pause flag DOWN and lets the vCPU's thread run. Returns whether it was set. */
  clearDown(vcpu: HvVcpu): boolean {
    const flags = vcpu.domain.state.and32(vcpu.pauseFlagsAddress, ~DOWN);
    if ((flags & DOWN) === 0) return false;
    this.notifyParked(vcpu, flags);
    return true;
  }

  /** @returns whether the vCPU's bit in the poll mask was set */
  testAndClearPollBit(vcpu: HvVcpu): boolean {
    const bit = 1 << (vcpu.vcpuId & 31);
    return (vcpu.domain.state.and32(this.pollMaskWord(vcpu), ~bit) & bit) !== 0;
  }

  setPollBit(vcpu: HvVcpu): void {
    vcpu.domain.state.or32(this.pollMaskWord(vcpu), 1 << (vcpu.vcpuId & 31));
  }

  hasPollBit(vcpu: HvVcpu): boolean {
    return (vcpu.domain.state.load32(this.pollMaskWord(vcpu)) & (1 << (vcpu.vcpuId & 31))) !== 0;
  }

  /**
   * Wakes the vCPUs that poll for `port` or for any port. Called on every 0-to-1 change of a pending bit, after it. The
   * poll bit goes to one waker only.
   */
  checkPollers(domain: HvDomain, port: number): void {
    for (let word = 0; word < domain.pollMaskWords; word++) {
      const bits = domain.state.read32(POLL_MASK + word * 4);
      if (bits !== 0) this.wakePollers(domain, word, bits, port);
    }
  }

  /** The vCPU's own test before it sleeps: is an upcall pending that it would take? */
  upcallDeliverable(current: HvVcpu): boolean {
    const { domain } = current;
    const info = this.infoAddress(current);
    const word = info === 0 ? this.global.read32(DUMMY_INFO) : domain.guest.read32(info);
    if ((word & UPCALL_PENDING_BYTE) === 0) return false;
    return domain.isX86
      ? (word & UPCALL_MASK_BYTE) === 0
      : domain.state.read32(current.address + VCPU_IRQ_MASKED) === 0;
  }

  /**
   * Masks or unmasks upcalls of the calling vCPU: evtchn_upcall_mask on x86; on Arm, where that byte does not exist, the
   * interrupt mask of its processor (PSTATE.I), a word of private state.
   * @param masked - 0 or 1
   */
  setUpcallMask(current: HvVcpu, masked: number): void {
    const { domain } = current;
    if (!domain.isX86) {
      domain.state.write32(current.address + VCPU_IRQ_MASKED, masked);
      return;
    }
    const info = this.infoAddress(current);
    if (info === 0) this.global.write8(DUMMY_INFO + UPCALL_MASK_OFFSET, masked);
    else domain.guest.write8(info + UPCALL_MASK_OFFSET, masked);
  }

  /** 1 while upcalls of the calling vCPU are masked, see {@link setUpcallMask}. */
  upcallMask(current: HvVcpu): number {
    const { domain } = current;
    if (!domain.isX86) return domain.state.read32(current.address + VCPU_IRQ_MASKED);
    const info = this.infoAddress(current);
    const memory = info === 0 ? this.global : domain.guest;
    return memory.read8((info === 0 ? DUMMY_INFO : info) + UPCALL_MASK_OFFSET) === 0 ? 0 : 1;
  }

  private pollMaskWord(vcpu: HvVcpu): number {
    return POLL_MASK + (vcpu.vcpuId >>> 5) * 4;
  }

  private kick(vcpu: HvVcpu): void {
    this.observer.kicked(vcpu.domainId, vcpu.vcpuId);
    this.unblock(vcpu);
  }

  /** @param bits - a word of the poll mask as it was found */
  private wakePollers(domain: HvDomain, word: number, bits: number, port: number): void {
    for (let rest = bits; rest !== 0; rest &= rest - 1) {
      this.wakePoller(domain.vcpus[word * 32 + 31 - Math.clz32(rest & -rest)] as HvVcpu, port);
    }
  }

  private wakePoller(vcpu: HvVcpu, port: number): void {
    const { state } = vcpu.domain;
    const polled = state.load32(vcpu.pollEvtchnAddress);
    if (polled > 0 && polled !== port) return;
    if (!this.testAndClearPollBit(vcpu)) return;
    state.store32(vcpu.pollEvtchnAddress, 0);
    this.unblock(vcpu);
  }

  /** @param flags - the pause flags as they were before BLOCKED was cleared */
  private wake(vcpu: HvVcpu, flags: number): void {
    if ((flags & DOWN) === 0) this.observer.woken(vcpu.domainId, vcpu.vcpuId);
    this.notifyParked(vcpu, flags);
  }

  /**
   * A thread sets PARKED before it looks at the other flags a last time and sleeps on the word; so a waker that did not
   * see PARKED when it cleared a flag is seen by that look.
   */
  private notifyParked(vcpu: HvVcpu, flags: number): void {
    if ((flags & PARKED) !== 0) vcpu.domain.state.notify32(vcpu.pauseFlagsAddress);
  }
}
