/**
 * R44: a back end checks a field of a request in the shared ring, then reads it again to use it.
 *
 * Where: XSA-155 and XSA-86 (xen 7d66a4ba69, 3f20b8def0, 2efcb0193b).
 *
 * 1. The back end checks the number of segments.
 * 2. The front end changes it.
 * 3. The back end reads it again, and goes by it.
 * It reaches beyond its own array.
 *
 * Invariant: what is used is what was checked.
 * Seen as: assertion, under sc and tso. It takes one preemption.
 * The cure copies the request once, checks the copy and uses the copy.
 *
 *   upcall explore examples/races/r44-ring-double-fetch.ts
 *   upcall explore examples/races/r44-ring-double-fetch.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const MAX_SEGMENTS = 11;

export default defineScenario({
  name: 'r44-ring-double-fetch',
  description: 'a back end checks a ring entry and reads it again: a hostile front end changes it in between',
  words: { segments: MAX_SEGMENTS },
  args: { variant: 'buggy' },
  guests: [
    // A hostile front end.
    (vcpu) => vcpu.words.segments.write(MAX_SEGMENTS + 1),
    (vcpu) => {
      const { segments } = vcpu.words;
      const copy = segments.read();
      if (copy > MAX_SEGMENTS) return;
      const used = vcpu.domain.args.variant === 'buggy' ? segments.read() : copy;
      vcpu.assert(used <= MAX_SEGMENTS, 'no more segments are used than were checked');
    },
  ],
});
