/**
 * R13: an event arrives while the interrupt line that announced the one before is still in service.
 *
 * Where: Xen's virtual interrupt controller on Arm, until xen db453468d9. The guest clears its upcall flag early in the
 * handler and signals the end of the interrupt late; an event in between looked as if its interrupt were already on
 * the way, and none was injected.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words: vCPU 1 plays the sender and the
 * interrupt controller, vCPU 0 the guest, which sleeps while `line` is 0. The selector is left out: one pending word.
 * Event 1 has been marked and the line raised at first.
 * 1. The guest clears the flag and takes the pending bits.
 * 2. The sender marks event 2: the flag goes from 0 to 1 again; the line is still raised, nothing is injected.
 * 3. The guest ends the interrupt: the line falls.
 * The upcall flag is set and no interrupt will come.
 *
 * Invariant: an upcall flag that is set, with upcalls enabled, never survives an entry to the guest.
 * Seen as: deadlock, under sc and tso. It takes one preemption.
 * The cure treats the flag as a level: at the end of an interrupt it is looked at again.
 *
 *   upcall explore examples/races/r13-edge-while-line-in-service.ts
 *   upcall explore examples/races/r13-edge-while-line-in-service.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

/** Bits of the pending word. */
const FIRST = 1;
const SECOND = 2;

export default defineScenario({
  name: 'r13-edge-while-line-in-service',
  description: 'an interrupt controller forgets the edge that came while the line was in service',
  words: { pending: FIRST, upcall: 1, line: 1 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { pending, upcall, line } = vcpu.words;
      let handled = 0;
      while (handled !== (FIRST | SECOND)) {
        while (line.load() === 0) vcpu.memory.wait32(line.address, 0);
        // The guest's handler.
        upcall.store(0);
        handled |= pending.exchange(0);
        // End of interrupt: what the controller does then.
        line.store(0);
        if (vcpu.domain.args.variant === 'fixed' && upcall.load() !== 0) line.store(1);
      }
    },
    (vcpu) => {
      const { pending, upcall, line } = vcpu.words;
      pending.or(SECOND);
      if (upcall.exchange(1) !== 0) return;
      if (line.exchange(1) === 0) vcpu.memory.notify32(line.address);
    },
  ],
});
