/** Writes a line to console and log, then sleeps for ever. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'sleepers-that-talk',
  guest(vcpu) {
    vcpu.onUpcall(() => {});
    vcpu.hypercall.console.write('line\n');
    vcpu.log('line');
    for (;;) vcpu.block();
  },
});
