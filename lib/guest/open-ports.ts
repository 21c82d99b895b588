/** The ports of a vCPU's domain under the ABI that the scenario has chosen for it. */
import { FifoPorts } from './fifo-ports';
import type { PortControl } from './port-control';
import { TwoLevelPorts } from './two-level-ports';
import type { Vcpu } from './vcpu';

/**
 * Under the FIFO ABI the first call in a domain switches it over.
 * @throws RangeError if the domain has too little memory for the library's words
 */
export function openPorts(vcpu: Vcpu): PortControl {
  return vcpu.domain.events === 'fifo' ? new FifoPorts(vcpu) : new TwoLevelPorts(vcpu);
}
