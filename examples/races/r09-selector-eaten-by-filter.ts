/**
 * R09: a port is unmasked before the vCPU's filter lets it pass.
 *
 * Where: Linux b0097adeec27: wrong initial filters let a port be announced to a vCPU that then skipped it. The port
 * stayed pending with its selector bit taken, until another port of the same word fired.
 *
 * Several vCPUs share the pending words, so each keeps a private filter of the ports it serves. The port is masked.
 * 1. vCPU 1 sends: pending bit set, nothing announced.
 * 2. vCPU 0 unmasks by hypercall; the hypervisor finds the port pending and raises it on vCPU 0.
 * 3. The upcall runs at the hypercall's return: it takes the selector and skips the port, not yet in the filter.
 * 4. vCPU 0 puts the port into the filter.
 * Pending, unmasked, nothing announced: a dead port.
 *
 * Invariant: an upcall that takes a selector bit leaves no pending, unmasked port of that word that is bound to its vCPU.
 * Seen as: deadlock, under sc and tso. It takes no preemption: the upcall interrupts.
 *
 * 2-level ABI only: it is the filters that lose the event. Under the FIFO ABI each event is on the queue of one vCPU, and what
 * is left of this race is R10.
 *
 *   upcall explore examples/races/r09-selector-eaten-by-filter.ts
 *   upcall explore examples/races/r09-selector-eaten-by-filter.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const PORT = 1;
const BIT = 1 << PORT;

export default defineScenario({
  name: 'r09-selector-eaten-by-filter',
  description: 'a port is unmasked before the filter lets it pass: the upcall skips it and nothing announces it again',
  events: '2l',
  args: { variant: 'buggy' },
  setup({ domain }) {
    domain.sharedInfo.evtchn_mask.word(0).or(BIT);
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const fixed = vcpu.domain.args.variant === 'fixed';
      const { info } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      const mask = vcpu.sharedInfo.evtchn_mask.word(0);
      let filter = 0;
      let handled = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        if ((info.evtchn_pending_sel.lo.exchange(0) & 1) === 0) return;
        if ((pending.read() & ~mask.read() & filter) === 0) return;
        pending.and(~BIT);
        handled++;
      });

      // A running kernel opens a port: upcalls are enabled.
      info.evtchn_upcall_mask.write(0);
      if (fixed) filter |= BIT;
      vcpu.hypercall.evtchn.unmask(PORT);
      if (!fixed) filter |= BIT;

      info.evtchn_upcall_mask.write(1);
      while (handled === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
