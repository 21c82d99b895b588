/**
 * Finds out that nothing can run any more: every vCPU that has not finished is blocked or offline, no timer is armed,
 * and no device or console input is left. This is how a lost wake-up shows in a free run. Daemon domains have to be asleep
 * too, but that they alone are is no deadlock: they wait for work.
 *
 * Blocked is who has the flag and whose thread sleeps. The flag alone does not do: SCHEDOP_block and SCHEDOP_poll set it before they
 * look whether there is something to sleep for, and VCPUOP_down before the vCPU's own thread has noticed.
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

const { BLOCKED, DOWN, PARKED, STOP } = PauseFlag;

/** What is looked at of a domain. */
export interface WatchedDomain {
  /** Its position in the machine. */
  readonly index: number;
  readonly domain: HvDomain;
  readonly plan: { readonly daemon: boolean };
}

type SleepsInGuest = (slot: number, vcpu: HvVcpu) => boolean;

/** @param sleepsInGuest - whether a vCPU that the hypervisor takes to be running sleeps for good all the same */
export function isDeadlocked(
  machine: MachineThread,
  domains: readonly WatchedDomain[],
  sleepsInGuest: SleepsInGuest = () => false,
): boolean {
  const still = allSleep(machine, domains, sleepsInGuest, () => {
    return machine.hypervisor.nextDeadline() === Number.POSITIVE_INFINITY && !machine.control.timerAwake;
  });
  // Last: whoever has not finished by now was looked at both times.
  return still && someoneCounts(machine, domains);
}

/** Whether every vCPU that has not finished was asleep at some instant of the call: only a timer or another domain can wake one. */
export function areAsleep(machine: MachineThread, domains: readonly WatchedDomain[]): boolean {
  return allSleep(machine, domains, () => false);
}

function allSleep(
  machine: MachineThread,
  domains: readonly WatchedDomain[],
  sleepsInGuest: SleepsInGuest,
  between: () => boolean = () => true,
): boolean {
  const before = wakeCounts(machine, domains, sleepsInGuest);
  if (before === undefined || !between()) return false;
  const after = wakeCounts(machine, domains, sleepsInGuest);
  return after !== undefined && after.length === before.length && after.every((count, i) => count === before[i]);
}

/** A vCPU that is up has not finished, and its domain is no daemon. */
function someoneCounts(machine: MachineThread, domains: readonly WatchedDomain[]): boolean {
  return domains.some(
    (each) => !each.plan.daemon && unfinished(machine, each).some((vcpu) => (pauseFlags(vcpu) & DOWN) === 0),
  );
}

function unfinished(machine: MachineThread, { index, domain }: WatchedDomain): readonly HvVcpu[] {
  return domain.vcpus.filter(({ vcpuId }) => !machine.control.isFinished(machine.slotOf(index, vcpuId)));
}

/** How often each unfinished vCPU was woken; undefined if one of them is not asleep. */
function wakeCounts(
  machine: MachineThread,
  domains: readonly WatchedDomain[],
  sleepsInGuest: SleepsInGuest,
): number[] | undefined {
  const counts: number[] = [];
  for (const each of domains) {
    for (const vcpu of unfinished(machine, each)) {
      const slot = machine.slotOf(each.index, vcpu.vcpuId);
      const flags = pauseFlags(vcpu);
      if ((flags & STOP) !== 0) return undefined;
      const sleeps = (flags & (BLOCKED | DOWN)) !== 0 && (flags & PARKED) !== 0;
      if (!sleeps && !sleepsInGuest(slot, vcpu)) return undefined;
      counts.push(machine.control.wakes(slot));
    }
  }
  return counts;
}

function pauseFlags({ domain, pauseFlagsAddress }: HvVcpu): number {
  return domain.state.load32(pauseFlagsAddress);
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
