/**
 * Finds out that an iteration has come to rest without an end: every vCPU that has not finished is blocked, offline, or
 * asleep in wait32 for good, and no timer or device is left. As `../deadlock.ts`, which tells why two looks are enough;
 * guests of a run are not told from busy ones while they sleep in wait32, those under stress are.
 */
import type { HvVcpu } from '../../../hypervisor/machine';
import { PauseFlag } from '../../../hypervisor/platform';
import type { DomainRun } from '../domain-run';
import type { StressMachine } from './session';

const { BLOCKED, DOWN, STOP } = PauseFlag;

/** The gate is taken. */
export function isStill(machine: StressMachine, domains: readonly DomainRun[]): boolean {
  const before = wakeCounts(machine, domains);
  if (before === undefined || before.length === 0) return false;
  if (machine.hypervisor.nextDeadline() !== Number.POSITIVE_INFINITY || machine.control.timerAwake) return false;
  const after = wakeCounts(machine, domains);
  return after !== undefined && after.length === before.length && after.every((count, i) => count === before[i]);
}

/** How often each unfinished vCPU was woken; undefined if one of them is not asleep, empty if none sleeps. */
function wakeCounts(machine: StressMachine, domains: readonly DomainRun[]): number[] | undefined {
  const counts: number[] = [];
  let asleep = 0;
  for (const { slot, vcpu } of unfinished(machine, domains)) {
    const flags = vcpu.domain.state.load32(vcpu.pauseFlagsAddress);
    if ((flags & STOP) !== 0) return undefined;
    if ((flags & (BLOCKED | DOWN)) === 0 && !sleepsInGuest(machine, slot, vcpu)) return undefined;
    if ((flags & DOWN) === 0) asleep++;
    counts.push(machine.control.wakes(slot));
  }
  return asleep === 0 ? [] : counts;
}

function sleepsInGuest(machine: StressMachine, slot: number, vcpu: HvVcpu): boolean {
  const { vcpuState } = machine.hypervisor;
  const info = vcpuState.infoAddress(vcpu);
  const upcall = vcpu.domain.guest.load8(info) !== 0 && vcpuState.upcallDeliverable(vcpu);
  return machine.words.isWaitingForGood(slot) && !upcall;
}

/** vCPUs whose guests have not returned. */
export function unfinished(
  machine: StressMachine,
  domains: readonly DomainRun[],
): readonly { readonly slot: number; readonly domain: DomainRun; readonly vcpu: HvVcpu }[] {
  return domains.flatMap((domain) =>
    domain.domain.vcpus
      .map((vcpu) => ({ slot: domain.slot(vcpu.vcpuId), domain, vcpu }))
      .filter(({ slot }) => !machine.control.isFinished(slot)),
  );
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
  const { state } = vcpu.domain;
  if ((state.load32(vcpu.pauseFlagsAddress) & BLOCKED) !== 0) {
    const polled = state.load32(vcpu.pollEvtchnAddress);
    if (polled === 0) return 'is blocked in SCHEDOP_block';
    return `is blocked in SCHEDOP_poll${polled > 0 ? ` on port ${polled}` : ''}`;
  }
  if (machine.words.isWaiting(slot)) return 'sleeps in wait32';
  return machine.control.inHypervisor(slot) ? 'is inside a hypercall' : 'is running';
}
