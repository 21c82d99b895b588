/**
 * R42: a producer shows a slot of a ring before the data is in it.
 *
 * Where: xen dfc0b259c1 (the console ring, 2005: no barriers, indices read again in the loop, the peer's index not checked).
 *
 * 1. The producer advances `prod`.
 * 2. The consumer reads the slot.
 * 3. The producer writes it.
 * The consumer has taken what lay there before.
 *
 * Invariant: each entry consumed is the one produced at its index.
 * Seen as: assertion, under sc and tso. It takes one preemption.
 * The cure writes the data first. Plain stores keep their order, so on x86 nothing more is needed.
 *
 *   upcall explore examples/races/r42-ring-index-before-data.ts
 *   upcall explore examples/races/r42-ring-index-before-data.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const SIZE = 2;
/** Near the end of the numbers, as in every test of a ring. */
const START = -1;

export default defineScenario({
  name: 'r42-ring-index-before-data',
  description: 'a ring index is advanced before the data is written: the consumer takes what lay there before',
  words: { prod: START, ring: [0, 0] },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { prod, ring } = vcpu.words;
      for (let i = 0; i < SIZE; i++) {
        const index = START + i;
        if (vcpu.domain.args.variant === 'buggy') prod.write(index + 1);
        ring[index & (SIZE - 1)]?.write(i + 1);
        if (vcpu.domain.args.variant !== 'buggy') prod.write(index + 1);
      }
    },
    (vcpu) => {
      const { prod, ring } = vcpu.words;
      // One snapshot of the index, checked, and no more than it says.
      const count = (prod.read() - START) >>> 0;
      vcpu.assert(count <= SIZE, 'the index is one that can be');
      for (let i = 0; i < count; i++) {
        vcpu.assert(ring[(START + i) & (SIZE - 1)]?.read() === i + 1, 'an entry is consumed as it was produced');
      }
    },
  ],
});
