/**
 * The scenario's invariants in a free run: those of a machine at rest, looked at when every guest has ended or none can
 * go on. Nothing is recorded while a machine runs free, so what needs a history is not checked.
 */
import type { Hypervisor } from '../../hypervisor/hypervisor';
import type { HvDomain } from '../../hypervisor/machine';
import { checkInvariants, type Moment, type PreparedInvariants, prepareInvariants } from '../invariants';
import { MachineView } from '../invariants/machine-view';
import type { MachinePlan } from '../machine-plan';

export class RestingInvariants {
  private readonly prepared: PreparedInvariants | undefined;
  private readonly view: MachineView;

  constructor(plan: MachinePlan, hypervisor: Hypervisor) {
    this.prepared = prepareInvariants(plan, hypervisor);
    const domain = (id: number): HvDomain => hypervisor.vcpu(id, 0).domain;
    this.view = new MachineView(hypervisor, {
      guest: (id, address) => domain(id).guest.load32(address),
      private: (id, address) => domain(id).state.load32(address),
    });
  }

  /** A sentence about what is broken, or undefined. */
  broken(when: Moment): string | undefined {
    return this.prepared && checkInvariants(this.prepared, when, this.view);
  }
}

/** The same for one look. */
export function brokenAtRest(plan: MachinePlan, hypervisor: Hypervisor, when: Moment): string | undefined {
  return new RestingInvariants(plan, hypervisor).broken(when);
}
