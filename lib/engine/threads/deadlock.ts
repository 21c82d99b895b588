/**
 * Finds out that nothing can run any more: every vCPU that has not finished is blocked or offline, no timer is armed,
 * and no device or console input is left. This is how a lost wake-up shows in a free run.
 *
 * The states are read one after the other, so two looks are taken. A vCPU that is blocked in both, having been woken
 * no more often in the second than in the first, was blocked all the time in between (it counts a wake-up before
 * it sets its blocked flag again); if that holds for all of them there was an instant at which all were. Between the
 * looks the timer thread was asleep and found no timer armed, and only a vCPU that runs can arm one: nobody was
 * left to wake anyone, so the state is final.
 */
import type { HvDomain, HvVcpu } from '../../hypervisor/machine';
import { PauseFlag } from '../../hypervisor/platform';
import type { DomainRun } from './domain-run';
import type { MachineThread } from './machine-thread';

const { BLOCKED, DOWN, STOP } = PauseFlag;

type SleepsInGuest = (slot: number, vcpu: HvVcpu) => boolean;

/** @param sleepsInGuest - whether a vCPU that the hypervisor takes to be running sleeps for good all the same */
export function isDeadlocked(
  machine: MachineThread,
  domains: readonly DomainRun[],
  sleepsInGuest: SleepsInGuest = () => false,
): boolean {
  const before = wakeCounts(machine, domains, sleepsInGuest);
  if (before === undefined || before.length === 0) return false;
  if (machine.hypervisor.nextDeadline() !== Number.POSITIVE_INFINITY || machine.control.timerAwake) return false;
  const after = wakeCounts(machine, domains, sleepsInGuest);
  return after !== undefined && after.length === before.length && after.every((count, i) => count === before[i]);
}

/** How often each unfinished vCPU was woken; undefined if one of them is not asleep, empty if none sleeps. */
function wakeCounts(
  machine: MachineThread,
  domains: readonly DomainRun[],
  sleepsInGuest: SleepsInGuest,
): number[] | undefined {
  const counts: number[] = [];
  let asleep = 0;
  for (const domain of domains) {
    for (const vcpu of domain.unsettled()) {
      const slot = domain.slot(vcpu);
      if (machine.control.isFinished(slot)) continue;
      const flags = domain.pauseFlags(vcpu);
      if ((flags & STOP) !== 0) return undefined;
      if ((flags & (BLOCKED | DOWN)) === 0 && !sleepsInGuest(slot, vcpuOf(domain.domain, vcpu))) return undefined;
      if ((flags & DOWN) === 0) asleep++;
      counts.push(machine.control.wakes(slot));
    }
  }
  return asleep === 0 ? [] : counts;
}

/** What each blocked vCPU of a domain waits for, in one line. */
export function describeSleepers(domain: DomainRun): string {
  const sleepers = domain.unsettled().filter((vcpu) => (domain.pauseFlags(vcpu) & BLOCKED) !== 0);
  return sleepers.map((vcpu) => `vCPU ${vcpu} ${describeBlocked(vcpuOf(domain.domain, vcpu))}`).join('; ');
}

/** `blocked in …`: in which hypercall a blocked vCPU sleeps. */
export function describeBlocked(vcpu: HvVcpu): string {
  const polled = vcpu.domain.state.load32(vcpu.pollEvtchnAddress);
  if (polled === 0) return 'blocked in SCHEDOP_block';
  return `blocked in SCHEDOP_poll${polled > 0 ? ` on port ${polled}` : ''}`;
}

function vcpuOf(domain: HvDomain, vcpuId: number): HvVcpu {
  const vcpu = domain.vcpus[vcpuId];
  if (vcpu === undefined) throw new RangeError(`no vCPU ${vcpuId}`);
  return vcpu;
}
