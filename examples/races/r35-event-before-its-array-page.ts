/**
 * R35: an event comes before the guest has given the hypervisor the page with its event word.
 *
 * Where: xen 917c123029 made the hypervisor remember such events.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words: vCPU 1 plays a sender, vCPU 0 a guest
 * that binds a port, adds the page (EVTCHNOP_expand_array, written out) and waits for the event.
 * 1. vCPU 1 sends: there is no page, so there is nowhere to note the event.
 * 2. vCPU 0 adds the page.
 * The event is lost.
 *
 * Variant noted-late remembers the event in a word of the hypervisor's own, which is looked at when the page is added, but
 * the page may be added between the sender's look and its note. (Own reading of Xen as it is: a send does not look again. No
 * report of it is known.) The cure looks for the page once more after the note.
 *
 * Invariant: an event that was sent before the page was added is there afterwards.
 * Seen as: deadlock, under sc and tso, without any preemption; variant noted-late takes one.
 *
 *   upcall explore examples/races/r35-event-before-its-array-page.ts
 *   upcall explore examples/races/r35-event-before-its-array-page.ts --args '{"variant":"noted-late"}'
 *   upcall explore examples/races/r35-event-before-its-array-page.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'r35-event-before-its-array-page',
  description: 'an event comes before there is an event word for it, and nobody remembers it when there is one',
  words: { pages: 0, noted: 0, pending: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { noted, pages, pending } = vcpu.words;
      pages.store(1);
      if (vcpu.domain.args.variant !== 'buggy' && noted.load() !== 0) pending.store(1);
      while (pending.load() === 0) vcpu.memory.wait32(pending.address, 0);
    },
    (vcpu) => {
      const { noted, pages, pending } = vcpu.words;
      const { variant } = vcpu.domain.args;
      if (pages.load() === 0) {
        if (variant === 'buggy') return;
        noted.store(1);
        if (variant === 'noted-late' || pages.load() === 0) return;
      }
      pending.store(1);
      vcpu.memory.notify32(pending.address);
    },
  ],
});
