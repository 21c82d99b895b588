/** A guest that puts escape sequences wherever it can put text. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'escapes',
  guest(vcpu) {
    vcpu.hypercall.console.write('from the console \x1b[2J\n');
    vcpu.log('from the log \x1b[2J');
    throw new Error('from the error \x1b[2J');
  },
});
