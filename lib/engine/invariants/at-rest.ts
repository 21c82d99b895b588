/**
 * Invariants of a machine at rest: nobody can go on, because all guests have ended or because all that are left sleep.
 * They say nothing of the moments between: a sender that has set the pending bit and not yet the selector is on its
 * way. At rest no store is left in a store buffer either.
 *
 * What is at rest is the same for all executions that differ in the order of independent steps only, so an exploration
 * that looks at one of them (partial-order reduction) misses nothing.
 */
import type { HvDomain, HvVcpu } from '../../hypervisor/hypervisor';
import { type MachineView, nameOf, portName } from './machine-view';

/** A vCPU without a vcpu_info of its own has no upcalls to lose. */
function hasInfo(view: MachineView, vcpu: HvVcpu): boolean {
  return view.infoAddress(vcpu) !== 0;
}

/**
 * A port that is pending and not masked has evtchn_upcall_pending of its vCPU set. Otherwise it is dead: later sends
 * find the pending bit set and stop. Does not hold for guests that leave ports pending and unmasked because they poll
 * them.
 */
export function noDeadPort(view: MachineView): string | undefined {
  for (const domain of view.domains) {
    for (let port = 1; port < view.validPorts(domain); port++) {
      if (!view.isPending(domain, port) || view.isMasked(domain, port) || !view.isUsable(domain, port)) continue;
      const vcpu = view.notifyVcpu(domain, port);
      if (!hasInfo(view, vcpu) || view.upcallPending(vcpu)) continue;
      const which = portName(view, domain, port);
      const flag = `evtchn_upcall_pending of ${nameOf(view, vcpu)}, to which it is bound, is clear`;
      return `${which} is pending and not masked, and ${flag}`;
    }
  }
  return undefined;
}

/** A set selector bit, or ready bit of a FIFO queue, comes with evtchn_upcall_pending; a vCPU that could take an upcall does not sleep. */
export function noDeadUpcall(view: MachineView): string | undefined {
  for (const vcpu of view.domains.flatMap(({ vcpus }) => vcpus)) {
    if (!hasInfo(view, vcpu)) continue;
    const word = view.announcement(vcpu);
    if (word !== undefined && !view.upcallPending(vcpu)) {
      return `${word} of ${nameOf(view, vcpu)} is not 0 and its evtchn_upcall_pending is clear`;
    }
    const asleep = sleepsDespiteUpcall(view, vcpu);
    if (asleep !== undefined) return asleep;
  }
  return undefined;
}

/**
 * A sleeping vCPU has no upcall to take, and the port it polls is not pending. (Which ports it polls if there are
 * several is not known.)
 */
export function noSleeperWithWork(view: MachineView): string | undefined {
  for (const vcpu of view.domains.flatMap(({ vcpus }) => vcpus)) {
    if (!view.isAsleep(vcpu)) continue;
    const asleep = hasInfo(view, vcpu) ? sleepsDespiteUpcall(view, vcpu) : undefined;
    if (asleep !== undefined) return asleep;
    const port = view.polledPort(vcpu);
    if (port > 0 && view.isPending(vcpu.domain, port)) {
      const which = portName(view, vcpu.domain, port);
      return `${nameOf(view, vcpu)} sleeps in SCHEDOP_poll although ${which}, which it polls, is pending`;
    }
  }
  return undefined;
}

/** The vCPU does not sleep while its guest has work for it. */
export function noSleeperDespite(
  view: MachineView,
  vcpu: HvVcpu,
  runnable: { readonly word: string; readonly address: number },
): string | undefined {
  if (!view.isAsleep(vcpu)) return undefined;
  const work = view.word(vcpu.domainId, runnable.address);
  return work === 0 ? undefined : `${nameOf(view, vcpu)} sleeps although ${runnable.word} is ${work}`;
}

/** The consumer does not sleep while the ring holds something, unless an upcall or event for it is under way. */
export function ringIsServed(
  view: MachineView,
  consumer: HvVcpu,
  ring: { readonly prod: string; readonly prodAddress: number; readonly consAddress: number },
): string | undefined {
  const filled = view.word(consumer.domainId, ring.prodAddress) - view.word(consumer.domainId, ring.consAddress);
  if (!view.isAsleep(consumer) || (filled | 0) === 0 || view.upcallPending(consumer)) return undefined;
  return `${nameOf(view, consumer)} sleeps although ${ring.prod} is ${filled >>> 0} ahead of the consumer`;
}

/**
 * The guest's table has an owner for a port if and only if the port is in use.
 * @param entries - address of the entry of each port; port 0 is not looked at
 */
export function tableNamesOwners(
  view: MachineView,
  domain: HvDomain,
  table: string,
  entries: readonly number[],
): string | undefined {
  for (let port = 1; port < entries.length; port++) {
    const owner = view.word(domain.id, entries[port] as number);
    const inUse = port < view.validPorts(domain) && view.isUsable(domain, port);
    const which = portName(view, domain, port);
    if (inUse && owner === 0) return `${which} is in use and ${table}[${port}] is 0: its events have no handler`;
    if (!inUse && owner !== 0) return `${which} is not in use and ${table}[${port}] is ${owner}`;
  }
  return undefined;
}

function sleepsDespiteUpcall(view: MachineView, vcpu: HvVcpu): string | undefined {
  if (!view.isAsleep(vcpu) || !view.upcallPending(vcpu) || view.upcallMasked(vcpu)) return undefined;
  return `${nameOf(view, vcpu)} sleeps although an upcall is pending and not masked`;
}
