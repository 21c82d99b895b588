/**
 * R10: a port is bound, and the first event comes before the guest has put up the handler.
 *
 * Where: Mini-OS cleared the pending bit before it installed a handler, to keep the handler from an early call (xen
 * b9d1950675 took that out); before 89f1d989d2 it did not even start with all ports masked.
 *
 * The port was bound before the guest boots, as those of console and xenstore are; all ports are masked.
 * 1. vCPU 1 sends: pending bit set.
 * 2. vCPU 0 clears the pending bit.
 * 3. vCPU 0 installs the handler and unmasks: nothing is pending. The first event is lost.
 *
 * Invariant: the first send after a successful bind is followed by a run of the handler.
 * Seen as: deadlock, under sc and tso. It takes no preemption.
 * Variant unmasked leaves the ports unmasked at boot instead: the upcall finds a port without a handler, seen as an
 * assertion.
 *
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r10-binding-before-handler.ts [--events fifo]
 *   upcall explore examples/races/r10-binding-before-handler.ts --args '{"variant":"unmasked"}'
 *   upcall explore examples/races/r10-binding-before-handler.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;

export default defineScenario({
  name: 'r10-binding-before-handler',
  description: 'the pending bit is cleared before the handler is put up: the first event is wiped out',
  words: { handler: 0 },
  args: { variant: 'buggy' },
  setup({ domain, args }) {
    const ports = bootPorts(domain);
    if (args.variant !== 'unmasked') ports.mask(PORT).set();
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { info } = vcpu;
      const ports = barePorts(vcpu);
      const pending = ports.pending(PORT);
      /** The table of handlers has this one entry. */
      const { handler } = vcpu.words;
      let runs = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          pending.clear();
          vcpu.assert(handler.read() !== 0, 'an event of a port that has no handler');
          runs++;
        });
      });

      // A running kernel opens the port: upcalls are enabled.
      info.evtchn_upcall_mask.write(0);
      if (variant === 'buggy') pending.clear();
      handler.write(1);
      if (variant !== 'unmasked') vcpu.hypercall.evtchn.unmask(PORT);

      info.evtchn_upcall_mask.write(1);
      while (runs === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
