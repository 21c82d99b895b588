/**
 * R27: a domain's event channels are reset while an operation is under way that has looked which ABI is in use.
 *
 * Where: xen e045199c7c, c0ddc86348, 8d385b247b (XSA-343), e59ce972d1 (XSA-338), 0e9d647aca (XSA-505): operations of
 * the FIFO ABI were chosen, or its state found present, without the lock under which reset takes them away.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words: vCPU 0 plays a send, vCPU 1 a
 * reset.
 * 1. The send reads that the domain uses the FIFO ABI.
 * 2. The reset goes back to the 2-level ABI and frees the event array.
 * 3. The send sets its event's bit in the array.
 *
 * Invariant: no operation straddles a reset.
 * Seen as: assertion (the array is used after it was freed), under sc and tso. It takes one preemption.
 * The cure: choice and use under one lock, which the reset takes too.
 *
 *   upcall explore examples/races/r27-reset-against-lock-free-user.ts
 *   upcall explore examples/races/r27-reset-against-lock-free-user.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const TWO_LEVEL = 0;
const FIFO = 1;
const FREED = 0;
const ALLOCATED = 1;

export default defineScenario({
  name: 'r27-reset-against-lock-free-user',
  description: 'a send that has chosen the FIFO ABI uses the event array after a reset has freed it',
  words: { abi: FIFO, array: ALLOCATED, lock: 0, eventWord: 0, bitmap: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const fixed = vcpu.domain.args.variant === 'fixed';
      const { abi, array, bitmap, eventWord, lock } = vcpu.words;
      if (fixed) while (lock.compareExchange(0, 1) !== 0) vcpu.relax();
      if (abi.load() === FIFO) {
        vcpu.assert(array.load() === ALLOCATED, 'the event array is used after it was freed');
        eventWord.or(1);
      } else {
        bitmap.or(1);
      }
      if (fixed) lock.store(0);
    },
    (vcpu) => {
      const { abi, array, lock } = vcpu.words;
      while (lock.compareExchange(0, 1) !== 0) vcpu.relax();
      abi.store(TWO_LEVEL);
      array.store(FREED);
      lock.store(0);
    },
  ],
});
