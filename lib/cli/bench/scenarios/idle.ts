/** Four vCPUs with nothing to do: each blocks until the run is aborted. */
import { defineScenario } from 'upcall';
import { Events, haltUntil } from 'upcall/guest';

export default defineScenario({
  name: 'bench-idle',
  vcpus: 4,
  guest(vcpu) {
    new Events(vcpu);
    haltUntil(vcpu, () => false);
  },
});
