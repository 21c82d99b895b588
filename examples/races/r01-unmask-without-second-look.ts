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
 *   upcall explore examples/races/r01-unmask-without-second-look.ts
 *   upcall explore examples/races/r01-unmask-without-second-look.ts --args '{"variant":"look-first"}'
 *   upcall explore examples/races/r01-unmask-without-second-look.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const PORT = 1;
const BIT = 1 << PORT;

export default defineScenario({
  name: 'r01-unmask-without-second-look',
  description: 'a port is unmasked without a second look at its pending bit: the event that came before is lost',
  args: { variant: 'buggy' },
  setup({ domain }) {
    domain.sharedInfo.evtchn_mask.word(0).or(BIT);
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { info } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      const mask = vcpu.sharedInfo.evtchn_mask.word(0);
      let handled = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        if ((info.evtchn_pending_sel.lo.exchange(0) & 1) === 0) return;
        if ((pending.read() & ~mask.read() & BIT) === 0) return;
        pending.and(~BIT);
        handled++;
      });

      const early = variant === 'look-first' ? pending.read() : 0;
      mask.and(~BIT);
      const late = variant === 'fixed' ? pending.read() : mask.read();
      if (((variant === 'look-first' ? early : late) & BIT) !== 0) {
        // Raise it again, as the hypervisor would have done.
        if ((info.evtchn_pending_sel.lo.or(1) & 1) === 0) info.evtchn_upcall_pending.write(1);
      }

      // Upcalls are disabled from boot; block enables them as it goes to sleep.
      while (handled === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
