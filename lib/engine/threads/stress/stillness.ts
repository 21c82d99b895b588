/**
 * Finds out that an iteration has come to rest without an end: every vCPU that has not finished is blocked, offline, or
 * asleep in wait32 for good, and no timer or device is left. As {@link isDeadlocked}; guests of a run are not told from busy
 * ones while they sleep in wait32, those under stress are.
 */
import type { HvVcpu } from '../../../hypervisor/machine';
import { PauseFlag } from '../../../hypervisor/platform';
import { describeBlocked, isDeadlocked } from '../deadlock';
import type { DomainRun } from '../domain-run';
import type { StressMachine } from './session';

const { BLOCKED, DOWN } = PauseFlag;

/** The gate is taken. */
export function isStill(machine: StressMachine, domains: readonly DomainRun[]): boolean {
  return isDeadlocked(machine, domains, (slot, vcpu) => sleepsInGuest(machine, slot, vcpu));
}

function sleepsInGuest(machine: StressMachine, slot: number, vcpu: HvVcpu): boolean {
  const { vcpuState } = machine.hypervisor;
  const info = vcpuState.infoAddress(vcpu);
  const upcall = vcpu.domain.guest.load8(info) !== 0 && vcpuState.upcallDeliverable(vcpu);
  return machine.words.isWaitingForGood(slot) && !upcall;
}

/** vCPUs whose guests have not returned; those of daemons only if there are no others. */
export function unfinished(
  machine: StressMachine,
  domains: readonly DomainRun[],
): readonly { readonly slot: number; readonly domain: DomainRun; readonly vcpu: HvVcpu }[] {
  const all = domains.flatMap((domain) =>
    domain.domain.vcpus
      .map((vcpu) => ({ slot: domain.slot(vcpu.vcpuId), domain, vcpu }))
      .filter(({ slot }) => !machine.control.isFinished(slot)),
  );
  const counting = all.filter(({ domain }) => !domain.plan.daemon);
  return counting.length === 0 ? all : counting;
}

/** What each unfinished vCPU is at, in one line. */
export function describeUnfinished(machine: StressMachine, domains: readonly DomainRun[]): string {
  const several = domains.length > 1;
  return unfinished(machine, domains)
    .filter(({ vcpu }) => (vcpu.domain.state.load32(vcpu.pauseFlagsAddress) & DOWN) === 0)
    .map(({ slot, domain, vcpu }) => {
      const name = several ? `${domain.name}/vCPU ${vcpu.vcpuId}` : `vCPU ${vcpu.vcpuId}`;
      return `${name} ${describe(machine, slot, vcpu)}`;
    })
    .join('; ');
}

function describe(machine: StressMachine, slot: number, vcpu: HvVcpu): string {
  const flags = vcpu.domain.state.load32(vcpu.pauseFlagsAddress);
  if ((flags & BLOCKED) !== 0) return `is ${describeBlocked(vcpu)}`;
  if (machine.words.isWaiting(slot)) return 'sleeps in wait32';
  return machine.control.inHypervisor(slot) ? 'is inside a hypercall' : 'is running';
}
