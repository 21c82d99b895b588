/**
 * R01: a guest unmasks a port and does not look whether something became pending meanwhile.
 *
 * Where: Solo5 (df0b6b5) cleared the mask bit and then tested the mask word once more, where it meant the pending
 * word. Xen's header states the rule beside the mask field; Mini-OS calls what is lost here the lost edge.
 *
 * The port is masked at first.
 * 1. vCPU 1 sends. The pending bit is set; the port is masked, so neither selector nor upcall flag is.
 * 2. vCPU 0 clears the mask bit, sees nothing to do, and sleeps until the event comes.
 * The event is pending and unmasked, but nothing announces it. Later sends find the pending bit set and stop there:
 * the port is dead.
 *
 * Invariant: at rest, a port that is pending and not masked has the upcall flag of its vCPU set.
 * Seen as: deadlock, under sc and tso. It takes no preemption.
 * Variant look-first looks at the right word, but before it clears the mask: with one preemption the event comes in
 * between.
 *
 * Under the FIFO ABI it is the same, but for who raises the event again: only the hypervisor puts events on queues.
 *
 *   upcall explore examples/races/r01-unmask-without-second-look.ts [--events fifo]
 *   upcall explore examples/races/r01-unmask-without-second-look.ts --args '{"variant":"look-first"}'
 *   upcall explore examples/races/r01-unmask-without-second-look.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;

export default defineScenario({
  name: 'r01-unmask-without-second-look',
  description: 'a port is unmasked without a second look at its pending bit: the event that came before is lost',
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain).mask(PORT).set();
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { info } = vcpu;
      const ports = barePorts(vcpu);
      const pending = ports.pending(PORT);
      const mask = ports.mask(PORT);
      let handled = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          pending.clear();
          handled++;
        });
      });

      const early = variant === 'look-first' && pending.isSet();
      mask.clear();
      const late = variant === 'fixed' ? pending.isSet() : mask.isSet();
      if (variant === 'look-first' ? early : late) ports.announce(PORT);

      // Upcalls are disabled from boot; block enables them as it goes to sleep.
      while (handled === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
