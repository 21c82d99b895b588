/**
 * R03: unmask clears the mask bit, then looks at the pending bit, with no barrier between the two.
 *
 * Where: Linux 4d3fe31bd993 put the missing barrier into the unmask of the 2-level ABI.
 *
 * 1. vCPU 0 stores the cleared mask word; the store waits in its store buffer.
 * 2. vCPU 0 reads the pending word: nothing.
 * 3. vCPU 1 sends: the pending bit is set, the mask still reads as set, so nothing is announced.
 * 4. The store reaches memory.
 * The port is as dead as in R01, though the guest did look.
 *
 * Invariant: at rest, a port that is pending and not masked has the upcall flag of its vCPU set.
 * Seen as: deadlock, under tso only; under sc there is nothing to find. It takes no preemption.
 * The plain store is in order otherwise: here nobody else ever changes the mask word.
 *
 * 2-level ABI only: under the FIFO ABI mask and pending bit are in one word, which the hypervisor changes too, so a guest has to
 * change it by a compare-exchange anyway. A plain store there is R07.
 *
 *   upcall explore examples/races/r03-unmask-without-barrier.ts --memory-model tso
 *   upcall explore examples/races/r03-unmask-without-barrier.ts --memory-model tso --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const PORT = 1;
const BIT = 1 << PORT;

export default defineScenario({
  name: 'r03-unmask-without-barrier',
  description: 'unmask looks at the pending bit while its own clear of the mask bit is still in the store buffer (tso)',
  events: '2l',
  args: { variant: 'buggy' },
  setup({ domain }) {
    domain.sharedInfo.evtchn_mask.word(0).or(BIT);
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
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

      mask.write(mask.read() & ~BIT);
      if (vcpu.domain.args.variant === 'fixed') vcpu.memory.fence();
      if ((pending.read() & BIT) !== 0) {
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
