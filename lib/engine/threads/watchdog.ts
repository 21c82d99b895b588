/**
 * Finds vCPUs that run but do nothing a living guest does: no hypercall, no upcall, no line of output. A guest
 * computing for long is told apart by nothing but the limit, which can be set.
 *
 * Time counts only while this thread looks: a process that was suspended, or a main thread that was busy, does not make
 * its guests hang.
 */
import { PauseFlag } from '../../hypervisor/platform';
import type { DomainRun } from './domain-run';
import type { MachineThread } from './machine-thread';

/** The most that one look can add to a vCPU's silence. */
const MAX_STEP_MS = 200;

export class Watchdog {
  private readonly silentMs: Float64Array;
  private readonly heartbeats: Float64Array;
  private readonly relaxes: Float64Array;
  /** 1 for a vCPU that called relax() between the last two looks. */
  private readonly relaxing: Uint8Array;
  private lastLookMs: number | undefined;

  constructor(
    private readonly machine: MachineThread,
    private readonly limitMs: number,
  ) {
    const { vcpus } = machine.control;
    this.silentMs = new Float64Array(vcpus);
    this.heartbeats = new Float64Array(vcpus);
    this.relaxes = new Float64Array(vcpus);
    this.relaxing = new Uint8Array(vcpus);
  }

  /** The first vCPU of the domain that is over the limit, with what to say about it. */
  look(domain: DomainRun): { readonly vcpu: number; readonly message: string } | undefined {
    for (const vcpu of domain.unsettled()) {
      const slot = domain.slot(vcpu);
      if ((this.silentMs[slot] as number) > this.limitMs) return { vcpu, message: this.describe(vcpu, slot) };
    }
    return undefined;
  }

  /** Counts the time since the last call; to be called regularly. */
  tick(nowMs: number, domains: readonly DomainRun[]): void {
    const step = Math.min(nowMs - (this.lastLookMs ?? nowMs), MAX_STEP_MS);
    this.lastLookMs = nowMs;
    for (const domain of domains) {
      for (const vcpu of domain.unsettled()) this.tickVcpu(domain, vcpu, step);
    }
  }

  private tickVcpu(domain: DomainRun, vcpu: number, stepMs: number): void {
    const { control } = this.machine;
    const slot = domain.slot(vcpu);
    const heartbeat = control.heartbeat(slot);
    const relaxes = control.relaxes(slot);
    this.relaxing[slot] = relaxes === this.relaxes[slot] ? 0 : 1;
    this.relaxes[slot] = relaxes;
    const asleep = (domain.pauseFlags(vcpu) & (PauseFlag.BLOCKED | PauseFlag.DOWN)) !== 0;
    if (heartbeat !== this.heartbeats[slot] || asleep || control.threadOf(slot) === 0 || control.isFinished(slot)) {
      this.heartbeats[slot] = heartbeat;
      this.silentMs[slot] = 0;
    } else {
      (this.silentMs[slot] as number) += stepMs;
    }
  }

  private describe(vcpu: number, slot: number): string {
    const seconds = this.limitMs / 1000;
    const { control } = this.machine;
    const doing = control.inHypervisor(slot)
      ? 'inside a hypercall'
      : this.relaxing[slot]
        ? 'spinning with vcpu.relax()'
        : 'never leaving its code';
    return `vCPU ${vcpu} is stuck: ${doing} for ${seconds} s without a hypercall or an upcall (limit: watchdogMs)`;
  }
}
