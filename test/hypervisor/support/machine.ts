/**
 * A machine for tests: every engine part is a recorder. Time is a number the test sets, a vCPU that would sleep runs the
 * test's `asleep` instead.
 */
import { layoutOf } from '../../../lib/abi';
import { type HvDomain, type HvVcpu, Hypervisor, type OpenMemory } from '../../../lib/hypervisor/hypervisor';
import {
  createMachineImage,
  type DomainConfig,
  domainConfig,
  type MachineOptions,
} from '../../../lib/hypervisor/image';
import { type Observer, PauseFlag, type Platform, type VcpuRef } from '../../../lib/hypervisor/platform';
import { initialiseMachine } from '../../../lib/hypervisor/start-of-day';
import { AtomicsMemory } from '../../../lib/memory/atomics-memory';

export class TestPlatform implements Platform {
  timeNs = 0;
  /** What happens while a vCPU sleeps; it goes on when this returns. */
  asleep: (vcpu: VcpuRef) => void = () => {};
  readonly sleeps: string[] = [];
  readonly yields: string[] = [];
  readonly deadlines: number[] = [];
  readonly output: string[] = [];
  readonly shutdowns: { domainId: number; code: number }[] = [];

  now(): number {
    return this.timeNs;
  }

  deschedule(vcpu: VcpuRef): void {
    this.sleeps.push(nameOf(vcpu));
    this.asleep(vcpu);
  }

  yield(vcpu: VcpuRef): void {
    this.yields.push(nameOf(vcpu));
  }

  timerChanged(deadlineNs: number): void {
    this.deadlines.push(deadlineNs);
  }

  consoleWrite(vcpu: VcpuRef, bytes: Uint8Array): void {
    this.output.push(`${nameOf(vcpu)}: ${new TextDecoder().decode(bytes)}`);
  }

  domainShutdown(domainId: number, code: number): void {
    this.shutdowns.push({ domainId, code });
  }
}

function nameOf({ domainId, vcpuId }: VcpuRef): string {
  return `d${domainId}v${vcpuId}`;
}

/** Lists what the hypervisor told its onlooker, in order. */
export class TestObserver implements Observer {
  readonly events: string[] = [];

  kicked(domainId: number, vcpuId: number): void {
    this.events.push(`kicked d${domainId}v${vcpuId}`);
  }

  woken(domainId: number, vcpuId: number): void {
    this.events.push(`woken d${domainId}v${vcpuId}`);
  }

  raised(domainId: number, vcpuId: number, port: number): void {
    this.events.push(`raised d${domainId}v${vcpuId} port ${port}`);
  }

  xenConsumer(domainId: number, vcpuId: number, port: number): void {
    this.events.push(`xen d${domainId}v${vcpuId} port ${port}`);
  }

  /** What was told since the last call. */
  take(): string[] {
    return this.events.splice(0);
  }
}

export class TestMachine {
  readonly platform = new TestPlatform();
  readonly observer = new TestObserver();
  readonly hypervisor: Hypervisor;

  constructor(
    configs: readonly DomainConfig[],
    options: Partial<MachineOptions> = {},
    open: OpenMemory = (buffer) => new AtomicsMemory(buffer),
  ) {
    const image = createMachineImage(configs, options);
    this.hypervisor = new Hypervisor(image, open, this.platform, this.observer);
    initialiseMachine(this.hypervisor);
  }

  vcpu(domainId: number, vcpuId: number): HvVcpu {
    return this.hypervisor.vcpu(domainId, vcpuId);
  }

  domain(domainId: number): HvDomain {
    return this.vcpu(domainId, 0).domain;
  }

  upcallPending(vcpu: HvVcpu): number {
    return vcpu.domain.guest.read8(this.hypervisor.vcpuInfoAddress(vcpu));
  }

  upcallMask(vcpu: HvVcpu): number {
    return vcpu.domain.guest.read8(this.hypervisor.vcpuInfoAddress(vcpu) + 1);
  }

  setUpcallMask(vcpu: HvVcpu, value: number): void {
    vcpu.domain.guest.write8(this.hypervisor.vcpuInfoAddress(vcpu) + 1, value);
  }

  /** Set selector bits, in order. */
  selector(vcpu: HvVcpu): number[] {
    const base = this.hypervisor.vcpuInfoAddress(vcpu) + vcpu.domain.selectorOffset;
    const width = 1 << vcpu.domain.evtchnWordShift;
    return Array.from({ length: width }, (_, bit) => bit).filter(
      (bit) => (vcpu.domain.guest.read8(base + (bit >> 3)) & (1 << (bit & 7))) !== 0,
    );
  }

  isPending(domain: HvDomain, port: number): boolean {
    return testBit(domain, domain.pendingAddress, port);
  }

  setMask(domain: HvDomain, port: number, masked: boolean): void {
    const address = domain.maskAddress + (port >> 3);
    const old = domain.guest.read8(address);
    domain.guest.write8(address, masked ? old | (1 << (port & 7)) : old & ~(1 << (port & 7)));
  }

  /** The guest's side of an upcall: clears upcall flag, selector and all pending bits of the domain. */
  acknowledge(vcpu: HvVcpu): void {
    const { domain } = vcpu;
    const info = this.hypervisor.vcpuInfoAddress(vcpu);
    domain.guest.write8(info, 0);
    for (let i = 0; i < domain.constants.sizeof_xen_ulong_t; i++)
      domain.guest.write8(info + domain.selectorOffset + i, 0);
    for (let i = 0; i < domain.maxEvtchns / 8; i++) domain.guest.write8(domain.pendingAddress + i, 0);
  }

  isBlocked(vcpu: HvVcpu): boolean {
    return (vcpu.domain.state.load32(vcpu.pauseFlagsAddress) & PauseFlag.BLOCKED) !== 0;
  }
}

function testBit(domain: HvDomain, bitmap: number, port: number): boolean {
  return (domain.guest.read8(bitmap + (port >> 3)) & (1 << (port & 7))) !== 0;
}

/** A domain without timers ticking by themselves. */
export function quiet(given: Partial<DomainConfig> & { readonly id: number }): DomainConfig {
  return domainConfig({ periodicTimerNs: 0, ...given });
}

/** Offset of a member in one of the guest's structures. */
export function offsetOf(domain: HvDomain, struct: Parameters<typeof layoutOf>[1], field: string): number {
  const found = layoutOf(domain.abi, struct).fields[field];
  if (found === undefined) throw new Error(`${struct} has no member ${field}`);
  return found.offset;
}
