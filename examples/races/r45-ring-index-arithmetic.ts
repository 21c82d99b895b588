/**
 * R45: free-running ring indices are compared by `<`, as if they did not wrap.
 *
 * Where: Unikraft's console driver compares them so; Solo5 issue 537 and xtf's console have kindred faults of index arithmetic.
 *
 * `cons` is 0xffffffff and `prod` has wrapped to 1: `cons < prod` is false, and the consumer leaves with two entries unread.
 *
 * Invariant: a consumer takes all that was produced.
 * Seen as: assertion, under sc and tso, with no preemption: no interleaving is needed, only a start near the end of the numbers.
 * The cure compares the difference of the indices, modulo 2^32.
 *
 *   upcall explore examples/races/r45-ring-index-arithmetic.ts
 *   upcall explore examples/races/r45-ring-index-arithmetic.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const START = 0xffffffff;
const ENTRIES = 2;

export default defineScenario({
  name: 'r45-ring-index-arithmetic',
  description: 'ring indices that wrap are compared by <: entries beyond the wrap are never consumed',
  words: { prod: START, done: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      vcpu.words.prod.write((START + ENTRIES) | 0);
      vcpu.words.done.store(1);
    },
    (vcpu) => {
      const { prod, done } = vcpu.words;
      while (done.load() === 0) vcpu.relax();
      const end = prod.read() >>> 0;
      let taken = 0;
      for (let cons = START; isBefore(cons, end, vcpu.domain.args.variant); cons = (cons + 1) >>> 0) taken++;
      vcpu.assert(taken === ENTRIES, 'all entries are consumed');
    },
  ],
});

function isBefore(cons: number, prod: number, variant: string): boolean {
  return variant === 'buggy' ? cons < prod : (prod - cons) >>> 0 > 0;
}
