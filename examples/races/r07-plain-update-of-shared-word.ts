/**
 * R07: a guest clears a bit of the pending word by reading the word, changing it and storing it.
 *
 * Where: Zephyr (pull request 118196) used bit-field helpers that are not atomic and wrote back stale pending and mask
 * words while Xen was changing them.
 *
 * Port 1 has been sent at first.
 * 1. vCPU 0 takes the upcall, loads the pending word to clear the bit of port 1.
 * 2. vCPU 1 sends port 2: sets its bit in the same word, and announces it.
 * 3. vCPU 0 stores the word it loaded without port 1: the bit of port 2 is gone with it.
 * The announcement arrives and finds nothing.
 *
 * Invariant: a shared word is the sum of all bit operations made on it.
 * Seen as: deadlock, under sc and tso. It takes one preemption.
 *
 * 2-level ABI only: under the FIFO ABI each port has a word of its own, so no neighbour is wiped out.
 *
 *   upcall explore examples/races/r07-plain-update-of-shared-word.ts
 *   upcall explore examples/races/r07-plain-update-of-shared-word.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const PORTS = [1, 2];
const BOTH = (1 << 1) | (1 << 2);

export default defineScenario({
  name: 'r07-plain-update-of-shared-word',
  description: 'a pending bit is cleared by load and store: a bit that was set in between is wiped out',
  events: '2l',
  args: { variant: 'buggy' },
  setup({ domain }) {
    for (const _ of PORTS) domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(1);
  },
  guests: [
    (vcpu) => {
      const { info } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      let handled = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        if ((info.evtchn_pending_sel.lo.exchange(0) & 1) === 0) return;
        const active = pending.read();
        for (const port of PORTS) {
          const bit = 1 << port;
          if ((active & bit) === 0) continue;
          if (vcpu.domain.args.variant === 'fixed') pending.and(~bit);
          else pending.write(pending.read() & ~bit);
          handled |= bit;
        }
      });
      while (handled !== BOTH) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(2),
  ],
});
