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
import type { HvDomain } from '../../hypervisor/machine';
import { PauseFlag } from '../../hypervisor/platform';
import type { DomainRun } from './domain-run';
import type { MachineThread } from './machine-thread';

const { BLOCKED, DOWN, STOP } = PauseFlag;

export function isDeadlocked(machine: MachineThread, domains: readonly DomainRun[]): boolean {
  const before = wakeCounts(machine, domains);
  if (before === undefined || before.length === 0) return false;
  if (machine.hypervisor.nextDeadline() !== Number.POSITIVE_INFINITY || machine.control.timerAwake) return false;
  const after = wakeCounts(machine, domains);
  return after !== undefined && after.length === before.length && after.every((count, i) => count === before[i]);
}

/** How often each unfinished vCPU was woken; undefined if one of them is not asleep, empty if none is blocked. */
function wakeCounts(machine: MachineThread, domains: readonly DomainRun[]): number[] | undefined {
  const counts: number[] = [];
  let blocked = 0;
  for (const domain of domains) {
    for (const vcpu of domain.unsettled()) {
      const slot = domain.slot(vcpu);
      if (machine.control.isFinished(slot)) continue;
      const flags = domain.pauseFlags(vcpu);
      if ((flags & (BLOCKED | DOWN)) === 0 || (flags & STOP) !== 0) return undefined;
      if ((flags & DOWN) === 0) blocked++;
      counts.push(machine.control.wakes(slot));
    }
  }
  return blocked === 0 ? [] : counts;
}

/** What each blocked vCPU of a domain waits for, in one line. */
export function describeSleepers(domain: DomainRun): string {
  const sleepers = domain.unsettled().filter((vcpu) => (domain.pauseFlags(vcpu) & BLOCKED) !== 0);
  return sleepers.map((vcpu) => `vCPU ${vcpu} ${describeSleeper(domain.domain, vcpu)}`).join('; ');
}

function describeSleeper(domain: HvDomain, vcpuId: number): string {
  const vcpu = domain.vcpus[vcpuId];
  const polled = vcpu === undefined ? 0 : domain.state.load32(vcpu.pollEvtchnAddress);
  if (polled > 0) return `blocked in SCHEDOP_poll on port ${polled}`;
  return polled < 0 ? 'blocked in SCHEDOP_poll' : 'blocked in SCHEDOP_block';
}
