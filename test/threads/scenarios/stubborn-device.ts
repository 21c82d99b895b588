/** A device that never finds out that it is switched off. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'stubborn-device',
  words: { begun: 0 },
  devices: {
    stubborn(device) {
      device.domain.words.begun.store(1);
      for (;;);
    },
  },
  guest(vcpu) {
    while (vcpu.words.begun.load() === 0) vcpu.relax();
    return 'done';
  },
});
