/** The state of all domains of a machine, for the engines that have its plan and its memory. */
import type { HvDomain, Hypervisor } from '../../hypervisor/hypervisor';
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
  options: Omit<SnapshotOptions, 'words' | 'others' | 'servicePages'> = {},
): DomainSnapshot {
  const domain = hypervisor.domains[index];
  if (domain === undefined) throw new RangeError(`no domain ${index}`);
  const others = (id: number): Onlooker | undefined => {
    const other = hypervisor.domain(id);
    return other && onlooker(other, peek);
  };
  const servicePages = plan.services.flatMap(({ service, config }) => {
    const served = config.domains.find(({ id }) => id === domain.id);
    return served === undefined ? [] : [{ service: service.name, address: served.pageAddress }];
  });
  const words = plan.domains[index]?.words.table;
  return snapshotDomain(onlooker(domain, peek), { ...options, words, others, servicePages });
}

function onlooker(domain: HvDomain, peek: Peek): Onlooker {
  const { id } = domain;
  return new Onlooker(domain, {
    guest: (address) => peek.guest(id, address),
    private: (address) => peek.private(id, address),
  });
}
