/** The state of a machine under the inline engine, as data: for dumps. */
import type { InlineMachine } from '../engine/inline/inline-machine';
import { snapshotOf } from '../engine/snapshot/machine';
import type { DomainSnapshot } from '../engine/snapshot/schema';

/** As it is now: in the middle of an execution, or when one is done. */
export function stateOf(machine: InlineMachine): DomainSnapshot[] {
  const { plan, hypervisor, peek, engine } = machine;
  let actor = 0;
  return plan.domains.map((_, index) => {
    const domain = snapshotOf(plan, hypervisor, peek, index);
    const vcpus = domain.vcpus.map((vcpu) => {
      const done = (engine.state.done >>> actor++) & 1;
      return done === 1 ? { ...vcpu, state: 'finished' as const } : vcpu;
    });
    return { ...domain, vcpus };
  });
}
