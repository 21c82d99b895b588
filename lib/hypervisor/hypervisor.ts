/**
 * The hypervisor: its parts put together over a machine's memory. It runs on the thread that calls it; one object per
 * thread stands over the same image, and none of them holds anything that changes.
 *
 * Guests come in through `hypercalls.ts`. The methods here are the other sides: timer source, devices, console and
 * toolstack.
 */

import { VIRQ_DOM_EXC } from '../abi/virq';
import { Channels } from './channels';
import { Console } from './console';
import { Domctl } from './domctl';
import { TwoLevelPorts } from './event-2l';
import { EventChannels } from './event-channel';
import { FifoPorts } from './event-fifo';
import { FifoControl } from './fifo-control';
import { GrantTables } from './grant-table';
import { HvmParams } from './hvm-params';
import type { MachineImage } from './image';
import { type HvDomain, type HvVcpu, Machine, type OpenMemory } from './machine';
import { PhysdevOps } from './physdev';
import { Pirqs } from './pirq';
import { noObserver, type Observer, type Platform } from './platform';
import { PortAbis } from './port-ops';
import { Recovery } from './recovery';
import { Runstates } from './runstate';
import { Sched } from './sched';
import { DOMAIN_CONTROLLER_PAUSE_COUNT, DOMAIN_REMOVED, DOMAIN_STATUS } from './state-layout';
import { Time } from './time';
import { Timers } from './timers';
import { VcpuOps } from './vcpu-op';
import { VcpuState } from './vcpu-state';
import { isGlobalVirq, isVcpuVirq, isVirq, Virqs } from './virq';
import { XenVersion } from './xen-version';

export type { HvDomain, HvVcpu, OpenMemory, Region } from './machine';

export class Hypervisor {
  readonly machine: Machine;
  readonly vcpuState: VcpuState;
  readonly evtchn: EventChannels;
  readonly virqs: Virqs;
  readonly pirqs: Pirqs;
  readonly sched: Sched;
  readonly vcpuOps: VcpuOps;
  readonly timers: Timers;
  readonly time: Time;
  readonly runstates: Runstates;
  readonly console: Console;
  readonly physdev: PhysdevOps;
  readonly version: XenVersion;
  readonly grants: GrantTables;
  readonly hvmParams: HvmParams;
  readonly domctl: Domctl;
  /** For the engine, when a thread was ended from outside. */
  readonly recovery: Recovery;

  /** @param open - called once per buffer of the image */
  constructor(image: MachineImage, open: OpenMemory, platform: Platform, observer: Observer = noObserver) {
    const machine = new Machine(image, open, platform, observer);
    this.machine = machine;
    this.vcpuState = new VcpuState(machine.global, observer);
    const fifoPorts = new FifoPorts(this.vcpuState, observer);
    const abis = new PortAbis(new TwoLevelPorts(this.vcpuState, observer), fifoPorts);
    const channels = new Channels(abis);
    const fifo = new FifoControl(channels, fifoPorts);
    this.virqs = new Virqs(machine, channels, abis);
    this.pirqs = new Pirqs(machine, channels, abis);
    this.evtchn = new EventChannels(machine, channels, abis, fifo, this.vcpuState, this.virqs, this.pirqs);
    this.time = new Time(machine);
    this.runstates = new Runstates(machine);
    this.timers = new Timers(machine, this.vcpuState, this.virqs);
    this.sched = new Sched(machine, this.vcpuState, this.evtchn, this.virqs, this.timers, this.time, this.runstates);
    this.vcpuOps = new VcpuOps(machine, this.vcpuState, this.sched, this.timers, this.time, this.runstates);
    this.console = new Console(machine, this.virqs);
    this.physdev = new PhysdevOps(machine, this.pirqs, this.evtchn);
    this.version = new XenVersion();
    this.grants = new GrantTables(machine);
    this.hvmParams = new HvmParams(machine);
    this.domctl = new Domctl(machine);
    const { evtchn, grants, pirqs, sched, time, vcpuState, virqs } = this;
    this.recovery = new Recovery({
      ...{ machine, channels, abis, fifoPorts, fifo },
      ...{ evtchn, grants, pirqs, sched, time, vcpuState, virqs },
    });
  }

  get image(): MachineImage {
    return this.machine.image;
  }

  get domains(): readonly HvDomain[] {
    return this.machine.domains;
  }

  /** The domain with that number, also when it is dying or was removed; undefined if there never was one. */
  domain(id: number): HvDomain | undefined {
    return this.machine.domain(id);
  }

  /** @throws RangeError if there is no such vCPU */
  vcpu(domainId: number, vcpuId: number): HvVcpu {
    const vcpu = this.machine.domain(domainId)?.vcpu(vcpuId);
    if (vcpu === undefined) throw new RangeError(`there is no vCPU ${vcpuId} in domain ${domainId}`);
    return vcpu;
  }

  /** Guest address of the vCPU's vcpu_info; 0 for a vCPU that has none yet. */
  vcpuInfoAddress(vcpu: HvVcpu): number {
    return this.vcpuState.infoAddress(vcpu);
  }

  /** Raises a per-vCPU VIRQ (VIRQ_TIMER, _DEBUG, _XENOPROF, _XENPMU). Dropped if it is not bound. Others: no effect. */
  sendVcpuVirq(vcpu: HvVcpu, virq: number): void {
    if (isVcpuVirq(virq)) this.virqs.sendVcpu(vcpu, virq);
  }

  /** Raises a domain or global VIRQ in this very domain. Dropped if it is not bound. Others: no effect. */
  sendDomainVirq(domain: HvDomain, virq: number): void {
    if (isVirq(virq) && !isVcpuVirq(virq)) this.virqs.sendDomain(domain, virq);
  }

  /** Raises a global VIRQ at the domain that handles it. Others: no effect. */
  sendGlobalVirq(virq: number): void {
    if (isGlobalVirq(virq)) this.virqs.sendGlobal(virq);
  }

  /** Names the handler of a global VIRQ. Returns 0, -EINVAL or -EBUSY. */
  setVirqHandler(domain: HvDomain, virq: number): number {
    return this.virqs.setHandler(domain, virq);
  }

  virqEnabled(domain: HvDomain, vcpuId: number, virq: number): boolean {
    return this.virqs.isEnabled(domain, vcpuId, virq);
  }

  /** A physical interrupt fires, for every domain that bound it. */
  raisePirq(pirq: number): void {
    this.pirqs.raise(pirq);
  }

  /** True while the interrupt awaits an EOI. */
  pirqInService(pirq: number): boolean {
    return this.pirqs.inService(pirq);
  }

  /** Characters arrive at the console. */
  consoleInput(bytes: Uint8Array): void {
    this.console.input(bytes);
  }

  /** See {@link EventChannels.xenAlloc}. */
  xenAlloc(current: HvVcpu, domain: HvDomain, vcpuId: number, remoteDomid: number): number {
    return this.evtchn.xenAlloc(current, domain, vcpuId, remoteDomid);
  }

  xenFree(domain: HvDomain, port: number): void {
    this.evtchn.xenFree(domain, port);
  }

  xenNotify(domain: HvDomain, port: number): void {
    this.evtchn.xenNotify(domain, port);
  }

  /** The poll timer of a vCPU runs out. */
  pollTimeout(vcpu: HvVcpu): void {
    this.timers.pollTimeout(vcpu);
  }

  /** Fires all timers that are due, and returns when the next one is: system time in ns, or Infinity. */
  runExpiredTimers(now: number): number {
    this.timers.runExpired(now);
    this.sched.runExpiredWatchdogs(now);
    this.pirqs.runExpired(now);
    return this.nextDeadline();
  }

  /** When the next timer is due: system time in ns, or Infinity. */
  nextDeadline(): number {
    return Math.min(this.timers.nextDeadline(), this.sched.nextWatchdog(), this.pirqs.nextDeadline());
  }

  /** Rewrites the vCPU's time record. On its own thread, or while it does not run. */
  updateVcpuTime(vcpu: HvVcpu): void {
    this.time.updateVcpu(vcpu, true);
  }

  /** Sets the host's wallclock: seconds since 1970 and nanoseconds at system time 0. */
  updateWallclock(seconds: number, nanoseconds: number): void {
    this.time.setWallclock(seconds, nanoseconds);
  }

  /** The toolstack's pause count. It matters for EVTCHNOP_reset of another domain; stopping the vCPUs is the engine's part. */
  pauseDomain(domain: HvDomain): void {
    domain.state.add32(DOMAIN_CONTROLLER_PAUSE_COUNT, 1);
  }

  unpauseDomain(domain: HvDomain): void {
    const { state } = domain;
    for (;;) {
      const count = state.load32(DOMAIN_CONTROLLER_PAUSE_COUNT);
      if (count === 0) return;
      if (state.compareExchange32(DOMAIN_CONTROLLER_PAUSE_COUNT, count, count - 1) === count) return;
    }
  }

  /** The toolstack destroys a domain whose vCPUs have stopped: its ports close, its mappings of others' frames end. It can still be named. */
  killDomain(domain: HvDomain): void {
    this.evtchn.destroy(domain);
    this.grants.release(domain);
    this.virqs.sendGlobal(VIRQ_DOM_EXC);
  }

  /** A domain that was killed vanishes: naming it gives -ESRCH from now on. */
  removeDomain(domain: HvDomain): void {
    domain.state.store32(DOMAIN_STATUS, DOMAIN_REMOVED);
    this.virqs.sendGlobal(VIRQ_DOM_EXC);
  }
}
