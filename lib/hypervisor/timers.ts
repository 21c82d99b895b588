/**
 * Timers of a vCPU: single-shot and periodic, which raise VIRQ_TIMER, and the one that ends SCHEDOP_poll.
 *
 * Deadlines are state; whoever plays the timer hardware calls {@link Timers.runExpired} when the earliest of them has come.
 * Platform.timerChanged tells it of new ones. Times are ns of system time.
 *
 * The periodic timer ticks only while its vCPU runs: it is stopped when the vCPU is switched out, and when it is switched
 * in again one tick makes up for all that were missed.
 *
 * Locks: a vCPU's timer_lock guards its deadlines. It is released before anything is raised, so a timer that is
 * stopped while it fires may still raise its event, as in Xen.
 *
 * @source xen/common/sched/core.c (vcpu_periodic_timer_work, vcpu_singleshot_timer_fn, poll_timer_fn, do_set_timer_op)
 */
import { Errno } from '../abi/errno';
import { set_timer_op_limits } from '../abi/time';
import { VIRQ_TIMER } from '../abi/virq';
import type { HvVcpu, Machine } from './machine';
import { readPair, toTimeNs, writePair } from './pairs';
import {
  TIMER_PERIODIC,
  TIMER_POLL,
  TIMER_SINGLESHOT,
  VCPU_PERIODIC_DEADLINE,
  VCPU_PERIODIC_LAST_EVENT,
  VCPU_PERIODIC_PERIOD,
  VCPU_POLL_DEADLINE,
  VCPU_SINGLESHOT_DEADLINE,
  VCPU_TIMER_LOCK,
  VCPU_TIMERS_ARMED,
} from './state-layout';
import type { VcpuState } from './vcpu-state';
import type { Virqs } from './virq';

/** Deadline of the timer with that bit in `timers_armed`. */
function deadlineAddress(vcpu: HvVcpu, timer: number): number {
  if (timer === TIMER_SINGLESHOT) return vcpu.address + VCPU_SINGLESHOT_DEADLINE;
  return vcpu.address + (timer === TIMER_PERIODIC ? VCPU_PERIODIC_DEADLINE : VCPU_POLL_DEADLINE);
}

export class Timers {
  constructor(
    private readonly machine: Machine,
    private readonly vcpuState: VcpuState,
    private readonly virqs: Virqs,
  ) {}

  /**
   * set_timer_op (x86): arms the single-shot timer of the calling vCPU; 0 stops it. A deadline that has passed fires at
   * once; a negative one, or one too far ahead, is replaced by one that is near.
   * @returns 0; -ENOSYS (Arm)
   */
  setTimerOp(current: HvVcpu, deadlineNs: number): number {
    if (!current.domain.isX86) return -Errno.ENOSYS;
    if (deadlineNs === 0 || Number.isNaN(deadlineNs)) {
      this.stopSingleshot(current);
      return 0;
    }
    const now = this.machine.platform.now();
    const far = deadlineNs < 0 || deadlineNs - now >= set_timer_op_limits.far_future_ns;
    this.setSingleshot(current, far ? now + set_timer_op_limits.far_future_replacement_delay_ns : deadlineNs, now);
    return 0;
  }

  /** Arms the single-shot timer; if the deadline has passed, stops it and raises VIRQ_TIMER. */
  setSingleshot(vcpu: HvVcpu, deadlineNs: number, now: number): void {
    if (deadlineNs > now) {
      this.arm(vcpu, TIMER_SINGLESHOT, toTimeNs(deadlineNs));
      return;
    }
    this.stopSingleshot(vcpu);
    this.virqs.sendVcpu(vcpu, VIRQ_TIMER);
  }

  stopSingleshot(vcpu: HvVcpu): void {
    this.disarm(vcpu, TIMER_SINGLESHOT);
  }

  /**
   * Starts the periodic timer, or stops it with a period of 0. If a whole period has passed since it ticked last, it ticks
   * at once.
   */
  setPeriodic(vcpu: HvVcpu, periodNs: number): void {
    const { state } = vcpu.domain;
    state.writeLock(vcpu.address + VCPU_TIMER_LOCK);
    this.setArmed(vcpu, TIMER_PERIODIC, false);
    writePair(state, vcpu.address + VCPU_PERIODIC_PERIOD, toTimeNs(periodNs));
    state.writeUnlock(vcpu.address + VCPU_TIMER_LOCK);
    if (periodNs > 0) this.workPeriodic(vcpu);
    else this.machine.platform.timerChanged(Number.POSITIVE_INFINITY);
  }

  /**
   * Arms the poll timer. Nothing stops it but its expiry or the next poll with a timeout; so it may end a later poll early.
   * @param deadlineNs - not 0; one that has passed ends the poll at once
   */
  setPoll(current: HvVcpu, deadlineNs: number): void {
    if (deadlineNs > this.machine.platform.now()) {
      this.arm(current, TIMER_POLL, toTimeNs(deadlineNs));
      return;
    }
    this.disarm(current, TIMER_POLL);
    this.pollTimeout(current);
  }

  /** The poll timer has run out: ends the vCPU's poll, if it is in one. */
  pollTimeout(vcpu: HvVcpu): void {
    if (this.vcpuState.testAndClearPollBit(vcpu)) this.vcpuState.unblock(vcpu);
  }

  /** The vCPU leaves the processor: its periodic timer stops. */
  switchOut(vcpu: HvVcpu): void {
    // Nobody else arms it while the vCPU runs, but for a set_periodic_timer of another vCPU, which ticks on as in Xen.
    if ((vcpu.domain.state.load32(vcpu.address + VCPU_TIMERS_ARMED) & TIMER_PERIODIC) === 0) return;
    this.disarm(vcpu, TIMER_PERIODIC);
  }

  /** The vCPU gets the processor: its periodic timer goes on, with one tick for those that were missed. */
  switchIn(vcpu: HvVcpu): void {
    if (this.period(vcpu) !== 0) this.workPeriodic(vcpu);
  }

  /**
   * Fires every timer whose deadline is `now` or earlier.
   */
  runExpired(now: number): void {
    for (const domain of this.machine.domains) {
      for (const vcpu of domain.vcpus) {
        if (domain.state.load32(vcpu.address + VCPU_TIMERS_ARMED) !== 0) this.runExpiredOf(vcpu, now);
      }
    }
  }

  /** The earliest deadline of any vCPU's timers, or Infinity. */
  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const domain of this.machine.domains) {
      for (const vcpu of domain.vcpus) {
        if (domain.state.load32(vcpu.address + VCPU_TIMERS_ARMED) !== 0) next = Math.min(next, this.nextOf(vcpu));
      }
    }
    return next;
  }

  private runExpiredOf(vcpu: HvVcpu, now: number): void {
    const { state } = vcpu.domain;
    state.writeLock(vcpu.address + VCPU_TIMER_LOCK);
    const armed = state.read32(vcpu.address + VCPU_TIMERS_ARMED);
    let expired = 0;
    for (let timer = TIMER_SINGLESHOT; timer <= TIMER_POLL; timer <<= 1) {
      if ((armed & timer) !== 0 && readPair(state, deadlineAddress(vcpu, timer)) <= now) expired |= timer;
    }
    if (expired !== 0) state.store32(vcpu.address + VCPU_TIMERS_ARMED, armed & ~expired);
    state.writeUnlock(vcpu.address + VCPU_TIMER_LOCK);
    if ((expired & TIMER_SINGLESHOT) !== 0) this.virqs.sendVcpu(vcpu, VIRQ_TIMER);
    if ((expired & TIMER_PERIODIC) !== 0) this.workPeriodic(vcpu);
    if ((expired & TIMER_POLL) !== 0) this.pollTimeout(vcpu);
  }

  private nextOf(vcpu: HvVcpu): number {
    const { state } = vcpu.domain;
    let next = Number.POSITIVE_INFINITY;
    state.readLock(vcpu.address + VCPU_TIMER_LOCK);
    const armed = state.read32(vcpu.address + VCPU_TIMERS_ARMED);
    for (let timer = TIMER_SINGLESHOT; timer <= TIMER_POLL; timer <<= 1) {
      if ((armed & timer) !== 0) next = Math.min(next, readPair(state, deadlineAddress(vcpu, timer)));
    }
    state.readUnlock(vcpu.address + VCPU_TIMER_LOCK);
    return next;
  }

  /** Ticks if a period has passed since the last tick, and arms the timer for the next one. */
  private workPeriodic(vcpu: HvVcpu): void {
    const { state } = vcpu.domain;
    const now = this.machine.platform.now();
    state.writeLock(vcpu.address + VCPU_TIMER_LOCK);
    const period = readPair(state, vcpu.address + VCPU_PERIODIC_PERIOD);
    let next = readPair(state, vcpu.address + VCPU_PERIODIC_LAST_EVENT) + period;
    const ticks = period !== 0 && now >= next;
    if (ticks) {
      writePair(state, vcpu.address + VCPU_PERIODIC_LAST_EVENT, now);
      next = now + period;
    }
    if (period !== 0) {
      writePair(state, vcpu.address + VCPU_PERIODIC_DEADLINE, next);
      this.setArmed(vcpu, TIMER_PERIODIC, true);
    }
    state.writeUnlock(vcpu.address + VCPU_TIMER_LOCK);
    if (ticks) this.virqs.sendVcpu(vcpu, VIRQ_TIMER);
    if (period !== 0) this.machine.platform.timerChanged(next);
  }

  private period(vcpu: HvVcpu): number {
    return readPair(vcpu.domain.state, vcpu.address + VCPU_PERIODIC_PERIOD);
  }

  private arm(vcpu: HvVcpu, timer: number, deadlineNs: number): void {
    const { state } = vcpu.domain;
    state.writeLock(vcpu.address + VCPU_TIMER_LOCK);
    writePair(state, deadlineAddress(vcpu, timer), deadlineNs);
    this.setArmed(vcpu, timer, true);
    state.writeUnlock(vcpu.address + VCPU_TIMER_LOCK);
    this.machine.platform.timerChanged(deadlineNs);
  }

  private disarm(vcpu: HvVcpu, timer: number): void {
    const { state } = vcpu.domain;
    state.writeLock(vcpu.address + VCPU_TIMER_LOCK);
    const was = this.setArmed(vcpu, timer, false);
    state.writeUnlock(vcpu.address + VCPU_TIMER_LOCK);
    if (was) this.machine.platform.timerChanged(Number.POSITIVE_INFINITY);
  }

  /** Precondition: timer_lock held for writing. Returns whether the timer was armed before. */
  private setArmed(vcpu: HvVcpu, timer: number, armed: boolean): boolean {
    const { state } = vcpu.domain;
    const word = vcpu.address + VCPU_TIMERS_ARMED;
    const old = state.read32(word);
    state.store32(word, armed ? old | timer : old & ~timer);
    return (old & timer) !== 0;
  }
}
