/**
 * SCHEDOP_*: a vCPU giving up its processor, sleeping, and ending its domain; and what happens around a vCPU's thread going
 * to sleep and going on (context switch).
 *
 * Sleeping follows the pair of stores and loads described in `vcpu-state.ts`: BLOCKED is set first, then the vCPU looks
 * whether there is anything to wake up for, then it sleeps until BLOCKED is clear.
 *
 * Leaves out: choosing which vCPU runs where (the host does that), priorities, pinning, and suspending a domain to
 * resume it later.
 *
 * @source xen/common/sched/core.c (do_sched_op, vcpu_block, do_poll), xen/common/domain.c (domain_shutdown)
 */
import { Errno } from '../abi/errno';
import { SCHEDOP_limits, SHUTDOWN_watchdog } from '../abi/sched';
import { RUNSTATE_blocked, RUNSTATE_offline, RUNSTATE_running } from '../abi/vcpu';
import { VIRQ_DOM_EXC } from '../abi/virq';
import { toDomid, toUint32 } from './arguments';
import type { EventChannels } from './event-channel';
import { getUint32 } from './guest-access';
import { type HvDomain, type HvVcpu, type Machine, mayControl } from './machine';
import { readPair, writePair } from './pairs';
import { PauseFlag } from './platform';
import type { Runstates } from './runstate';
import {
  DOMAIN_IS_SHUT_DOWN,
  DOMAIN_IS_SHUTTING_DOWN,
  DOMAIN_SHUTDOWN_CODE,
  DOMAIN_SHUTDOWN_LOCK,
  DOMAIN_WATCHDOG_DEADLINE,
  DOMAIN_WATCHDOG_INUSE_MAP,
  DOMAIN_WATCHDOG_LOCK,
  NR_WATCHDOGS,
} from './state-layout';
import type { Time } from './time';
import type { Timers } from './timers';
import type { VcpuState } from './vcpu-state';
import type { Virqs } from './virq';

const { BLOCKED, DOWN } = PauseFlag;
const MAX_POLL_PORTS = SCHEDOP_limits.poll_max_nr_ports;
const NS_PER_SECOND = 1e9;

export class Sched {
  constructor(
    private readonly machine: Machine,
    private readonly vcpuState: VcpuState,
    private readonly evtchn: EventChannels,
    private readonly virqs: Virqs,
    private readonly timers: Timers,
    private readonly time: Time,
    private readonly runstates: Runstates,
  ) {}

  /** SCHEDOP_yield. */
  yield(current: HvVcpu): number {
    this.machine.platform.yield(current);
    return 0;
  }

  /**
   * SCHEDOP_block: unmasks upcalls and sleeps until one is pending. Returns at once if one is.
   * @returns 0
   */
  block(current: HvVcpu): number {
    const { state } = current.domain;
    this.vcpuState.setUpcallMask(current, 0);
    if (this.machine.platform.watch?.(current)) return 0;
    state.or32(current.pauseFlagsAddress, BLOCKED);
    if (this.vcpuState.upcallDeliverable(current)) state.and32(current.pauseFlagsAddress, ~BLOCKED);
    else this.deschedule(current);
    return 0;
  }

  /**
   * SCHEDOP_poll: sleeps until one of the ports is pending, an upcall is pending for this vCPU, or the time has come. Any
   * return may be spurious. Masks play no part, and the upcall mask stays as it is.
   * @param ports - at most 128
   * @param timeoutNs - absolute system time; 0 for none
   * @returns 0; -EINVAL for too many ports, or one that the guest may not use and that comes before a pending one; -EFAULT
   * for something else than an array
   */
  poll(current: HvVcpu, ports: readonly number[], timeoutNs: number): number {
    if (!Array.isArray(ports)) return -Errno.EFAULT;
    if (ports.length > MAX_POLL_PORTS) return -Errno.EINVAL;
    return this.doPoll(current, ports, 0, ports.length, timeoutNs);
  }

  /**
   * SCHEDOP_poll with the ports in an array of 32-bit numbers in guest memory.
   * @returns as {@link poll}; -EFAULT for an array that is not in memory
   */
  pollArray(current: HvVcpu, address: number, count: number, timeoutNs: number): number {
    if (toUint32(count) > MAX_POLL_PORTS) return -Errno.EINVAL;
    if (count > 0 && !current.domain.isReadable(address, count * 4)) return -Errno.EFAULT;
    return this.doPoll(current, undefined, address, count, timeoutNs);
  }

  /**
   * SCHEDOP_shutdown: the domain stops, for the reason laid down before if there was one. The calling vCPU stops here.
   * @param reason - SHUTDOWN_*, low 8 bits
   * @returns 0, if the engine lets the vCPU go on at all
   */
  shutdown(current: HvVcpu, reason: number): number {
    this.shutdownDomain(current.domain, reason & 0xff);
    this.machine.platform.deschedule(current);
    return 0;
  }

  /**
   * SCHEDOP_shutdown_code: lays down the reason that a later shutdown gives. A reason laid down already stays.
   * @returns 0
   */
  shutdownCode(current: HvVcpu, reason: number): number {
    const { state } = current.domain;
    state.writeLock(DOMAIN_SHUTDOWN_LOCK);
    this.latchCode(current.domain, reason & 0xff);
    state.writeUnlock(DOMAIN_SHUTDOWN_LOCK);
    return 0;
  }

  /**
   * SCHEDOP_remote_shutdown.
   * @param dom - a real domain number; DOMID_SELF is not translated
   * @returns 0; -ESRCH, -EPERM
   */
  remoteShutdown(current: HvVcpu, dom: number, reason: number): number {
    const domain = this.machine.domainById(toDomid(dom));
    if (domain === undefined) return -Errno.ESRCH;
    if (!mayControl(current, domain)) return -Errno.EPERM;
    this.shutdownDomain(domain, reason & 0xff);
    return 0;
  }

  /**
   * SCHEDOP_watchdog: unless called again in time, the domain is shut down.
   * @param id - 0 allocates a watchdog; 1 or 2 names one
   * @param timeoutSeconds - 0 frees the one that is named
   * @returns the id when one was allocated, else 0; -ENOSPC, -EINVAL
   */
  watchdog(current: HvVcpu, id: number, timeoutSeconds: number): number {
    const { domain } = current;
    if (toUint32(id) > NR_WATCHDOGS) return -Errno.EINVAL;
    domain.state.writeLock(DOMAIN_WATCHDOG_LOCK);
    const result = this.watchdogLocked(domain, id, toUint32(timeoutSeconds));
    domain.state.writeUnlock(DOMAIN_WATCHDOG_LOCK);
    return result;
  }

  /**
   * Shuts the domain down: latches the reason and tells the engine, once. Called by the domain's own vCPUs, by the timer
   * source, or by an engine whose guest has crashed.
   * @param reason - SHUTDOWN_*
   */
  shutdownDomain(domain: HvDomain, reason: number): void {
    const { state } = domain;
    state.writeLock(DOMAIN_SHUTDOWN_LOCK);
    const code = this.latchCode(domain, reason);
    const first = state.read32(DOMAIN_IS_SHUTTING_DOWN) === 0;
    state.store32(DOMAIN_IS_SHUTTING_DOWN, 1);
    state.writeUnlock(DOMAIN_SHUTDOWN_LOCK);
    if (first) this.machine.platform.domainShutdown(domain.id, code);
  }

  /**
   * To be called by the engine when every vCPU of a domain that is shutting down has stopped: tells the handler of
   * VIRQ_DOM_EXC, once.
   */
  finaliseShutdown(domain: HvDomain): void {
    const { state } = domain;
    state.writeLock(DOMAIN_SHUTDOWN_LOCK);
    const first = state.read32(DOMAIN_IS_SHUTTING_DOWN) !== 0 && state.read32(DOMAIN_IS_SHUT_DOWN) === 0;
    if (first) state.store32(DOMAIN_IS_SHUT_DOWN, 1);
    state.writeUnlock(DOMAIN_SHUTDOWN_LOCK);
    if (first) this.virqs.sendGlobal(VIRQ_DOM_EXC);
  }

  /** The reason the domain was shut down for (SHUTDOWN_*), or undefined while it was not. */
  shutdownCodeOf(domain: HvDomain): number | undefined {
    if (domain.state.load32(DOMAIN_IS_SHUTTING_DOWN) === 0) return undefined;
    return domain.state.load32(DOMAIN_SHUTDOWN_CODE) - 1;
  }

  /**
   * The vCPU's thread begins to run the guest, or goes on after a sleep. The engine calls it once when a vCPU starts; around
   * sleeps it is called here.
   */
  switchIn(vcpu: HvVcpu): void {
    this.runstates.change(vcpu, RUNSTATE_running);
    this.time.updateVcpu(vcpu, false);
    this.timers.switchIn(vcpu);
  }

  /** The vCPU's thread goes to sleep, or ends. The engine calls it once when a vCPU ends. */
  switchOut(vcpu: HvVcpu): void {
    const down = (vcpu.domain.state.load32(vcpu.pauseFlagsAddress) & DOWN) !== 0;
    this.runstates.change(vcpu, down ? RUNSTATE_offline : RUNSTATE_blocked);
    this.timers.switchOut(vcpu);
  }

  /** The calling vCPU sleeps until it has no pause flag left. */
  deschedule(current: HvVcpu): void {
    this.switchOut(current);
    this.machine.platform.deschedule(current);
    this.switchIn(current);
  }

  /** Fires the watchdogs whose time has come. */
  runExpiredWatchdogs(now: number): void {
    for (const domain of this.machine.domains) {
      if (this.nextWatchdogOf(domain) <= now) this.shutdownDomain(domain, SHUTDOWN_watchdog);
    }
  }

  /** When the next watchdog fires, or Infinity. Those of a domain that is shut down do not count. */
  nextWatchdog(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const domain of this.machine.domains) next = Math.min(next, this.nextWatchdogOf(domain));
    return next;
  }

  private nextWatchdogOf(domain: HvDomain): number {
    const { state } = domain;
    let next = Number.POSITIVE_INFINITY;
    if (state.load32(DOMAIN_WATCHDOG_INUSE_MAP) === 0 || state.load32(DOMAIN_IS_SHUTTING_DOWN) !== 0) return next;
    state.readLock(DOMAIN_WATCHDOG_LOCK);
    const inUse = state.read32(DOMAIN_WATCHDOG_INUSE_MAP);
    for (let i = 0; i < NR_WATCHDOGS; i++) {
      if ((inUse & (1 << i)) !== 0) next = Math.min(next, readPair(state, DOMAIN_WATCHDOG_DEADLINE + i * 8));
    }
    state.readUnlock(DOMAIN_WATCHDOG_LOCK);
    return next;
  }

  private doPoll(
    current: HvVcpu,
    ports: readonly number[] | undefined,
    address: number,
    count: number,
    timeoutNs: number,
  ): number {
    const { domain } = current;
    const { state } = domain;
    state.or32(current.pauseFlagsAddress, BLOCKED);
    state.store32(current.pollEvtchnAddress, -1);
    this.vcpuState.setPollBit(current);
    if (!domain.isX86 && this.isBeingWoken(current)) return this.endPoll(current, 0);
    if (this.vcpuState.upcallDeliverable(current)) return this.endPoll(current, 0);
    let port = 0;
    for (let i = 0; i < count; i++) {
      port = ports === undefined ? getUint32(domain.guest, address + i * 4) : toUint32(ports[i] as number);
      const result = this.evtchn.poll(domain, port);
      if (result !== 0) return this.endPoll(current, Math.min(result, 0));
    }
    if (count === 1) state.store32(current.pollEvtchnAddress, port);
    if (timeoutNs !== 0) this.timers.setPoll(current, timeoutNs);
    this.deschedule(current);
    return 0;
  }

  /**
   * Somebody has undone part of the preparation: a waker that saw BLOCKED but not yet the poll, or the reverse. Xen looks for
   * it on Arm only; on x86 the vCPU then returns with its poll bit set, which the next event clears.
   */
  private isBeingWoken(current: HvVcpu): boolean {
    const { state } = current.domain;
    return (
      state.load32(current.pollEvtchnAddress) === 0 ||
      (state.load32(current.pauseFlagsAddress) & BLOCKED) === 0 ||
      !this.vcpuState.hasPollBit(current)
    );
  }

  private endPoll(current: HvVcpu, result: number): number {
    const { state } = current.domain;
    state.store32(current.pollEvtchnAddress, 0);
    this.vcpuState.testAndClearPollBit(current);
    state.and32(current.pauseFlagsAddress, ~BLOCKED);
    return result;
  }

  /** Precondition: shutdown_lock held. Returns the code that counts. */
  private latchCode(domain: HvDomain, reason: number): number {
    const latched = domain.state.read32(DOMAIN_SHUTDOWN_CODE);
    if (latched !== 0) return latched - 1;
    domain.state.store32(DOMAIN_SHUTDOWN_CODE, reason + 1);
    return reason;
  }

  private watchdogLocked(domain: HvDomain, id: number, timeoutSeconds: number): number {
    const inUse = domain.state.read32(DOMAIN_WATCHDOG_INUSE_MAP);
    if (id === 0) {
      if (inUse === (1 << NR_WATCHDOGS) - 1) return -Errno.ENOSPC;
      const free = (inUse & 1) === 0 ? 0 : 1;
      this.armWatchdog(domain, free, timeoutSeconds);
      return free + 1;
    }
    const bit = 1 << (id - 1);
    if ((inUse & bit) === 0) return -Errno.EINVAL;
    if (timeoutSeconds === 0) domain.state.store32(DOMAIN_WATCHDOG_INUSE_MAP, inUse & ~bit);
    else this.armWatchdog(domain, id - 1, timeoutSeconds);
    return 0;
  }

  private armWatchdog(domain: HvDomain, index: number, timeoutSeconds: number): void {
    const { state } = domain;
    const deadline = this.machine.platform.now() + timeoutSeconds * NS_PER_SECOND;
    writePair(state, DOMAIN_WATCHDOG_DEADLINE + index * 8, deadline);
    state.store32(DOMAIN_WATCHDOG_INUSE_MAP, state.read32(DOMAIN_WATCHDOG_INUSE_MAP) | (1 << index));
    this.machine.platform.timerChanged(deadline);
  }
}
