/**
 * Up to 16 timers over the one single-shot timer a vCPU has: a queue in order of deadline, the hypervisor's timer set
 * to its head, VIRQ_TIMER to run what is due.
 *
 * Times are words of the vCPU's kernel block; callbacks are code, a table the vCPU fills as it creates its timers.
 * All of it belongs to this vCPU alone, so disabling upcalls is the only lock it needs.
 *
 * The hypervisor's periodic timer is not used: it does not tick for a blocked vCPU. A PV vCPU starts with it running,
 * at 100 Hz; it is stopped here.
 *
 * Leaves out: Arm, where guests use the architected timer.
 *
 * @source Linux, arch/x86/xen/time.c; Mini-OS, arch/x86/time.c
 */
import { VIRQ_TIMER } from '../abi';
import { systemTimeNs } from './clock';
import type { Events } from './events';
import { haltUntil, irqRestore, irqSave } from './irq';
import { kernelBlock, MAX_TIMERS, TIMER_COUNT } from './kernel-area';
import { TimerQueue } from './timer-queue';
import type { Vcpu } from './vcpu';

/** Runs in the upcall, with upcalls disabled; must not block. */
export type TimerCallback = () => void;

/** One vCPU's timers. Make one in the guest function. */
export class Timers {
  readonly vcpu: Vcpu;
  private readonly queue: TimerQueue;
  private readonly callbacks: TimerCallback[] = [];
  private readonly sleeper: Timer;

  /**
   * Binds VIRQ_TIMER and stops the periodic timer.
   * @throws HypercallError EEXIST: this vCPU has bound VIRQ_TIMER already; EINVAL on Arm; ENOSPC
   */
  constructor(events: Events) {
    this.vcpu = events.vcpu;
    this.queue = new TimerQueue(this.vcpu.memory, kernelBlock(this.vcpu));
    this.vcpu.hypercall.vcpu.stopPeriodicTimer(this.vcpu.id);
    events.bindVirq(VIRQ_TIMER, () => this.expire());
    this.sleeper = this.create(() => {});
  }

  /**
   * A new timer, not started.
   * @throws RangeError when the vCPU has 16
   */
  create(callback: TimerCallback): Timer {
    const { memory } = this.vcpu;
    const count = kernelBlock(this.vcpu) + TIMER_COUNT;
    const number = memory.read32(count);
    if (number === MAX_TIMERS) throw new RangeError(`a vCPU has at most ${MAX_TIMERS} timers`);
    memory.write32(count, number + 1);
    this.callbacks[number] = callback;
    return new Timer(this, number);
  }

  /** Sleeps until the system time is reached, taking upcalls. Not from a handler. Returns with upcalls enabled. */
  sleepUntil(deadlineNs: number): void {
    this.sleeper.startAt(deadlineNs);
    haltUntil(this.vcpu, () => systemTimeNs(this.vcpu) >= deadlineNs);
  }

  /** Sleeps for a time, taking upcalls. Not from a handler. Returns with upcalls enabled. */
  sleep(ns: number): void {
    this.sleepUntil(systemTimeNs(this.vcpu) + ns);
  }

  /** @internal see {@link Timer}: `periodNs` 0 means once */
  start(timer: number, deadlineNs: number, periodNs: number): void {
    const flags = irqSave(this.vcpu);
    this.queue.remove(timer);
    if (this.queue.insert(timer, Math.max(1, Math.ceil(deadlineNs)), periodNs)) this.setHypervisorTimer();
    irqRestore(this.vcpu, flags);
  }

  /** @internal see {@link Timer} */
  stop(timer: number): void {
    const flags = irqSave(this.vcpu);
    if (this.queue.remove(timer)) this.setHypervisorTimer();
    irqRestore(this.vcpu, flags);
  }

  /**
   * Runs what is due, at most as many callbacks as there may be timers: one that starts its timer anew in the past
   * comes by another event, so that other ports get their turn.
   */
  private expire(): void {
    const { queue } = this;
    const now = systemTimeNs(this.vcpu);
    for (let left = MAX_TIMERS; left > 0; left--) {
      const timer = queue.first();
      if (timer < 0 || queue.deadline(timer) > now) break;
      this.fire(timer, now);
    }
    this.setHypervisorTimer();
  }

  /** Starts a periodic timer anew before its callback, which may then stop it. */
  private fire(timer: number, now: number): void {
    const { queue } = this;
    const deadline = queue.deadline(timer);
    const period = queue.period(timer);
    queue.remove(timer);
    if (period > 0) queue.insert(timer, deadline + period * (Math.floor((now - deadline) / period) + 1), period);
    this.callbacks[timer]?.();
  }

  /** A deadline in the past raises VIRQ_TIMER at once, so none is missed between reading the time and this call. */
  private setHypervisorTimer(): void {
    const { vcpu, queue } = this;
    const timer = queue.first();
    if (timer < 0) vcpu.hypercall.vcpu.stopSingleshotTimer(vcpu.id);
    else vcpu.hypercall.vcpu.setSingleshotTimer(vcpu.id, queue.deadline(timer));
  }
}

/** A timer of one vCPU, which alone may use it. Immutable: its times are in the vCPU's kernel block. */
export class Timer {
  /** @internal made by {@link Timers.create} */
  constructor(
    private readonly timers: Timers,
    private readonly number: number,
  ) {}

  /**
   * Fires once.
   * @param deadlineNs - system time; one in the past fires at once
   */
  startAt(deadlineNs: number): void {
    this.timers.start(this.number, deadlineNs, 0);
  }

  /**
   * Fires again and again, the first time a period from now. The deadlines keep to multiples of the period however
   * late a callback runs; those missed by then are skipped.
   * @param periodNs - an integer above 0
   */
  startEvery(periodNs: number): void {
    this.timers.start(this.number, systemTimeNs(this.timers.vcpu) + periodNs, periodNs);
  }

  /** Does not fire until started again. */
  stop(): void {
    this.timers.stop(this.number);
  }
}
