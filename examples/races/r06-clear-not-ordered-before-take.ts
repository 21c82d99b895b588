/**
 * R06: the upcall clears evtchn_upcall_pending, then takes the selector, but nothing keeps the two in that order.
 *
 * Where: XenLinux on ia64, whose exchange was an acquire only (xen 047923da52, corrected in a37a9008c8; Mini-OS
 * aec0c76f22). On x86 a locked exchange is a full barrier and there is nothing wrong; a guest that reads the selector
 * with a plain load and clears what it saw afterwards has the same fault there, and that is what is built here.
 *
 * The two ports lie in different words, so each has a selector bit of its own. Port 1 has been sent at first.
 * 1. vCPU 0 takes the upcall and stores 0 to the upcall flag: the store waits in its buffer.
 * 2. vCPU 0 reads the selector: bit 0.
 * 3. vCPU 1 sends port 64: sets selector bit 1, finds the upcall flag set in memory, kicks nobody.
 * 4. The store drains; vCPU 0 clears selector bit 0 alone and serves port 1.
 * Selector bit 1 is set, the upcall flag is clear.
 *
 * Under the FIFO ABI it is the same with the ready bits of two queues, so the ports have different priorities there.
 *
 * Invariant: at rest, a selector that is not zero has the upcall flag of its vCPU set.
 * Seen as: deadlock, under tso only; under sc there is nothing to find.
 *
 *   upcall explore examples/races/r06-clear-not-ordered-before-take.ts --memory-model tso [--events fifo]
 *   upcall explore examples/races/r06-clear-not-ordered-before-take.ts --memory-model tso --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const LOW_PORT = 1;
const HIGH_PORT = 64;

export default defineScenario({
  name: 'r06-clear-not-ordered-before-take',
  description: 'the clear of the upcall flag is still in the store buffer when the selector is read (tso)',
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    for (let port = 1; port <= HIGH_PORT; port++) domain.hypercall.evtchn.bindIpi(0);
    if (domain.events === 'fifo') domain.hypercall.evtchn.setPriority(HIGH_PORT, 8);
    domain.hypercall.evtchn.send(LOW_PORT);
  },
  guests: [
    (vcpu) => {
      const { info } = vcpu;
      const ports = barePorts(vcpu);
      const { announced } = ports;
      let handled = 0;

      function take(): number {
        if (vcpu.domain.args.variant === 'fixed') return announced.exchange(0);
        const taken = announced.read();
        announced.and(~taken);
        return taken;
      }

      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(take(), (port) => {
          if (ports.pending(port).clear()) handled++;
        });
      });
      while (handled < 2) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(HIGH_PORT),
  ],
});
