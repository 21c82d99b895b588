/**
 * R15: a hypervisor marks a vCPU blocked, then looks for an event, with no barrier between the two.
 *
 * Where: Xen's vcpu_block until 109e8177fd, which tells the interleaving in its message. On x86 the bit operation that
 * sets the flag is locked and a full barrier; on Arm it is not.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words: vCPU 0 plays the block operation,
 * vCPU 1 the waker. A plain store stands for the bit operation that orders nothing.
 * 1. The blocker stores blocked = 1: the store waits in its buffer. It reads the upcall flag: 0.
 * 2. The waker sets the upcall flag and test-and-clears blocked: it was 0, nobody to wake.
 * 3. The blocker's store drains; it sleeps.
 * The vCPU sleeps with its upcall flag set.
 *
 * Invariant: never blocked, upcall flag set, and no wake-up on the way.
 * Seen as: deadlock, under tso only; under sc there is nothing to find.
 * Variant check-first looks before it marks: wrong on any machine, with one preemption.
 *
 *   upcall explore examples/races/r15-block-flag-not-ordered.ts --memory-model tso
 *   upcall explore examples/races/r15-block-flag-not-ordered.ts --args '{"variant":"check-first"}'
 *   upcall explore examples/races/r15-block-flag-not-ordered.ts --memory-model tso --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'r15-block-flag-not-ordered',
  description: 'a hypervisor looks for events while its blocked flag is still in the store buffer (tso)',
  words: { upcall: 0, blocked: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { upcall, blocked } = vcpu.words;
      if (variant === 'check-first' && upcall.load() !== 0) return;
      if (variant === 'fixed') blocked.or(1);
      else blocked.write(1);
      if (variant !== 'check-first' && upcall.read() !== 0) return;
      // The scheduler takes the vCPU off its processor.
      vcpu.memory.wait32(blocked.address, 1);
    },
    (vcpu) => {
      const { upcall, blocked } = vcpu.words;
      upcall.or(1);
      if (blocked.and(0) !== 0) vcpu.memory.notify32(blocked.address);
    },
  ],
});
