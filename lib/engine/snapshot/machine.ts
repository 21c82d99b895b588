/** The state of all domains of a machine, for the engines that have its plan and its memory. */
import type { Hypervisor } from '../../hypervisor/hypervisor';
import type { Peek } from '../invariants';
import type { MachinePlan } from '../machine-plan';
import { type SnapshotOptions, snapshotDomain } from './domain';
import { Onlooker } from './onlooker';
import type { DomainSnapshot } from './schema';

/** @param index - of the domain in the plan */
export function snapshotOf(
  plan: MachinePlan,
  hypervisor: Hypervisor,
  peek: Peek,
  index: number,
  options: Omit<SnapshotOptions, 'words'> = {},
): DomainSnapshot {
  const domain = hypervisor.domains[index];
  if (domain === undefined) throw new RangeError(`no domain ${index}`);
  const { id } = domain;
  const look = new Onlooker(domain, {
    guest: (address) => peek.guest(id, address),
    private: (address) => peek.private(id, address),
  });
  return snapshotDomain(look, { ...options, words: plan.domains[index]?.words.table });
}
