/**
 * R04: the upcall runs a port's handler first and clears its pending bit afterwards.
 *
 * Where: Mini-OS until xen b585b4dfa7.
 *
 * 1. vCPU 1 queues work and sends; vCPU 0 takes the upcall, and the handler empties the queue.
 * 2. vCPU 1 queues more work and sends: the pending bit is still set, so the hypervisor stops there.
 * 3. vCPU 0 clears the pending bit.
 * There is work in the queue and nothing pending.
 *
 * Invariant: after the last send of a port at least one run of its handler starts.
 * Seen as: deadlock, under sc and tso. It takes one preemption.
 *
 *   upcall explore examples/races/r04-pending-cleared-after-handler.ts
 *   upcall explore examples/races/r04-pending-cleared-after-handler.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const PORT = 1;
const BIT = 1 << PORT;

export default defineScenario({
  name: 'r04-pending-cleared-after-handler',
  description: 'the pending bit is cleared after the handler has run: an event during the handler is wiped out',
  words: { queued: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const fixed = vcpu.domain.args.variant === 'fixed';
      const { info, words } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      let done = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        if ((info.evtchn_pending_sel.lo.exchange(0) & 1) === 0) return;
        if ((pending.read() & BIT) === 0) return;
        if (fixed) pending.and(~BIT);
        // The handler: takes all there is.
        done += words.queued.exchange(0);
        if (!fixed) pending.and(~BIT);
      });
      while (done < 2) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => {
      for (let i = 0; i < 2; i++) {
        vcpu.words.queued.add(1);
        vcpu.hypercall.evtchn.send(PORT);
      }
    },
  ],
});
