/** vCPU 1 loops for ever, without an access, if it finds vCPU 0's store. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'looper',
  vcpus: 2,
  words: { stored: 0 },
  guest(vcpu) {
    const { stored } = vcpu.words;
    if (vcpu.id === 0) stored.store(1);
    else for (let found = stored.load(); found !== 0; );
  },
});
