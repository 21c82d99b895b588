/**
 * R32: the hypervisor links an event word by compare-exchange for as long as it takes, and the guest keeps changing the
 * word.
 *
 * Where: xen dae2a1c5f9. The word belongs to the receiving domain, the loop runs in the sender's.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words: vCPU 1 plays a sender that links the
 * tail's word to another event, vCPU 0 a guest that masks and unmasks the tail's port.
 * 1. The sender loads the word.
 * 2. The guest sets or clears MASKED.
 * 3. The sender's compare-exchange fails; it goes back to 1.
 * A guest that does not stop holds up another domain without end.
 *
 * The cure: after the first failure the sender sets BUSY, while which the guest must not clear MASKED; it may still set it,
 * once, or clear other bits, once. The sender gives up after four further failures. Here a word changes too often if it
 * changes three times, which keeps the example short.
 * Variant rude: the sender does its part of the cure, the guest does not heed BUSY. The sender gives up; nobody is held up.
 *
 * Invariant: a bounded number of attempts, whatever the other side does.
 * Seen as: assertion, under sc and tso. It takes six preemptions: one before each change and one before each attempt.
 *
 *   upcall explore examples/races/r32-endless-link-retry.ts
 *   upcall explore examples/races/r32-endless-link-retry.ts --args '{"variant":"fixed"}'
 *   upcall explore examples/races/r32-endless-link-retry.ts --args '{"variant":"rude"}'
 */
import { defineScenario } from 'upcall';
import { FIFO_MASKS } from 'upcall/abi';

const { BUSY, LINK, LINKED, MASKED } = FIFO_MASKS;
const PORT = 5;
/** Failed attempts that are too many. */
const TOO_MANY = 3;
const ROUNDS = 2;

export default defineScenario({
  name: 'r32-endless-link-retry',
  description: 'a sender links an event word for as long as it takes, and the guest that owns it keeps changing it',
  words: { tail: LINKED },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { tail } = vcpu.words;
      const { variant } = vcpu.domain.args;

      function unmask(): void {
        if (variant !== 'fixed') {
          tail.and(~MASKED);
          return;
        }
        for (;;) {
          const seen = tail.load();
          if ((seen & BUSY) !== 0) vcpu.relax();
          else if (tail.compareExchange(seen, seen & ~MASKED) === seen) return;
        }
      }

      for (let round = 0; round < ROUNDS; round++) {
        tail.or(MASKED);
        unmask();
      }
    },
    (vcpu) => {
      const { tail } = vcpu.words;
      const { variant } = vcpu.domain.args;
      let seen = tail.load();
      for (let failed = 1; ; failed++) {
        const found = tail.compareExchange(seen, (seen & ~(BUSY | LINK)) | PORT);
        if (found === seen) return;
        if (variant === 'rude' && failed === TOO_MANY - 1) break;
        vcpu.assert(failed < TOO_MANY, `${failed} attempts to link the tail have failed`);
        if (variant !== 'buggy' && failed === 1) seen = tail.or(BUSY) | BUSY;
        else seen = found;
      }
      tail.and(~BUSY);
    },
  ],
});
