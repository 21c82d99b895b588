/**
 * R04: the upcall runs a port's handler first and clears its pending bit afterwards.
 *
 * Where: Mini-OS until xen b585b4dfa7.
 *
 * The vCPUs share a mailbox with room for one item. It is full at first, and its event has been sent.
 * 1. vCPU 0 takes the upcall, and the handler takes the item.
 * 2. vCPU 1, which was waiting for room, puts in the next item and sends: the pending bit is still set, so the hypervisor
 *    stops there.
 * 3. vCPU 0 clears the pending bit.
 * There is an item in the mailbox and nothing pending.
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
  words: { mailbox: 1 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(PORT);
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
        // The handler.
        if (words.mailbox.exchange(0) !== 0) done++;
        if (!fixed) pending.and(~BIT);
      });
      while (done < 2) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => {
      const { mailbox } = vcpu.words;
      while (mailbox.load() !== 0) vcpu.relax();
      mailbox.store(2);
      vcpu.hypercall.evtchn.send(PORT);
    },
  ],
});
