/** Returns the first line that arrives at the console. */
import { defineScenario } from 'upcall';
import { VIRQ_CONSOLE } from 'upcall/abi';
import { Events, haltUntil } from 'upcall/guest';

export default defineScenario({
  name: 'console-reader',
  privileged: true,
  guest(vcpu) {
    let line = '';
    const readAll = () => {
      for (;;) {
        const bytes = vcpu.hypercall.console.read(16);
        if (bytes.length === 0) return;
        line += Buffer.from(bytes).toString('latin1');
      }
    };
    new Events(vcpu).bindVirq(VIRQ_CONSOLE, readAll);
    // What arrived before the interrupt was bound raised nothing.
    readAll();
    haltUntil(vcpu, () => line.endsWith('\n'));
    return line;
  },
});
