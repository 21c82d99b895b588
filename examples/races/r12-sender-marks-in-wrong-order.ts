/**
 * R12: the hypervisor marks the vCPU before what it announces is there.
 *
 * Where: SO3/AVZ (pull request 289) set pending and upcall flag with two plain stores and no barrier; boots got stuck
 * with the pending bit set and the flag clear. In Xen the order pending, selector, upcall flag is a rule of the 2-level
 * code, and each of the three is a locked operation.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words: vCPU 1 plays the sender, vCPU 0
 * a guest that sleeps while its upcall flag is clear.
 * 1. The sender sets the upcall flag.
 * 2. The guest clears the flag, takes the selector (0) and has nothing to scan.
 * 3. The sender sets pending bit and selector bit.
 * Pending and selector are set, the flag is clear.
 *
 * Invariant: the upcall flag rises after the selector bit, the selector bit after the pending bit.
 * Seen as: deadlock, under sc and tso. It takes one preemption.
 * Variant selector-first sets selector, flag, pending. Selector, pending, flag would do for a single event. With the right
 * order in the program only a machine that reorders stores goes wrong without barriers; that is not shown.
 *
 * 2-level ABI only: the sender is written out here; what can go wrong with its like of the FIFO ABI are R30 to R35.
 *
 *   upcall explore examples/races/r12-sender-marks-in-wrong-order.ts
 *   upcall explore examples/races/r12-sender-marks-in-wrong-order.ts --args '{"variant":"selector-first"}'
 *   upcall explore examples/races/r12-sender-marks-in-wrong-order.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'r12-sender-marks-in-wrong-order',
  description: 'a hypervisor sets the upcall flag before the bits it announces: the guest looks too early',
  events: '2l',
  words: { pending: 0, selector: 0, upcall: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { pending, selector, upcall } = vcpu.words;
      let handled = 0;
      while (handled === 0) {
        while (upcall.load() === 0) vcpu.memory.wait32(upcall.address, 0);
        upcall.store(0);
        if (selector.exchange(0) !== 0) handled += pending.exchange(0);
      }
    },
    (vcpu) => {
      const { pending, selector, upcall } = vcpu.words;
      switch (vcpu.domain.args.variant) {
        case 'fixed':
          pending.store(1);
          selector.store(1);
          upcall.store(1);
          break;
        case 'selector-first':
          selector.store(1);
          upcall.store(1);
          pending.store(1);
          break;
        default:
          upcall.store(1);
          pending.store(1);
          selector.store(1);
      }
      vcpu.memory.notify32(upcall.address);
    },
  ],
});
