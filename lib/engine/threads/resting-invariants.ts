/**
 * The scenario's invariants in a free run: those of a machine at rest, looked at by the main thread when every guest
 * has ended or none can go on. Nothing is recorded while a machine runs free, so what needs a history is not checked.
 */
import type { Hypervisor } from '../../hypervisor/hypervisor';
import type { HvDomain } from '../../hypervisor/machine';
import { checkInvariants, type Moment, prepareInvariants } from '../invariants';
import { MachineView } from '../invariants/machine-view';
import type { MachinePlan } from '../machine-plan';

/** A sentence about what is broken, or undefined. */
export function brokenAtRest(plan: MachinePlan, hypervisor: Hypervisor, when: Moment): string | undefined {
  const prepared = prepareInvariants(plan, hypervisor);
  if (prepared === undefined) return undefined;
  const domain = (id: number): HvDomain => hypervisor.vcpu(id, 0).domain;
  const view = new MachineView(hypervisor, {
    guest: (id, address) => domain(id).guest.load32(address),
    private: (id, address) => domain(id).state.load32(address),
  });
  return checkInvariants(prepared, when, view);
}
