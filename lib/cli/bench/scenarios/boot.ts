/** A domain whose vCPUs return at once. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'bench-boot',
  guest(vcpu) {
    return vcpu.id;
  },
});
