/**
 * R29: a peer that keeps sending keeps a vCPU in its upcall.
 *
 * Where: XSA-332 (CVE-2020-27673): Linux e99502f76271 limits the event loop and defers the EOI of a port that storms,
 * 54c9de89895e lets drivers send the EOI late; f01337197419 undid a double unmask. Of the same kind: XSA-344 (reset and
 * destroy without a break), XSA-295 (an exclusive load and store starved by a guest).
 *
 * 1. vCPU 0 takes the upcall, clears the pending bit, runs the handler.
 * 2. vCPU 1 sends again.
 * 3. vCPU 0 finds the port pending again; and so on. What the upcall interrupted does not get on.
 * A storm has no end; this one has two events, and the handler is not to run twice before the interrupted code has made
 * a step.
 *
 * Invariant: an upcall takes a limited number of steps, whatever the others do.
 * Seen as: assertion (in the handler), under sc and tso. It takes one preemption.
 * The cure: the port stays masked from its handler until the interrupted code has made a step and sends the EOI. Events
 * that arrive meanwhile collapse into one.
 *
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r29-event-storm.ts [--events fifo]
 *   upcall explore examples/races/r29-event-storm.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;
const MAX_RUNS_IN_A_ROW = 1;

export default defineScenario({
  name: 'r29-event-storm',
  description: 'events keep arriving while an upcall serves them: what it interrupted does not get on',
  words: { progress: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(PORT);
  },
  guests: [
    (vcpu) => {
      const fixed = vcpu.domain.args.variant === 'fixed';
      const { info } = vcpu;
      const { progress } = vcpu.words;
      const ports = barePorts(vcpu);
      const pending = ports.pending(PORT);
      const mask = ports.mask(PORT);
      let runsInARow = 0;
      let owesEoi = false;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          while (pending.isSet() && !mask.isSet()) {
            if (fixed) mask.set();
            owesEoi = fixed;
            pending.clear();
            runsInARow++;
            vcpu.assert(runsInARow <= MAX_RUNS_IN_A_ROW, 'the handler runs over and over, and nothing else does');
          }
        });
      });

      info.evtchn_upcall_mask.write(0);
      progress.write(1);
      runsInARow = 0;
      if (owesEoi) vcpu.hypercall.evtchn.unmask(PORT);
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
