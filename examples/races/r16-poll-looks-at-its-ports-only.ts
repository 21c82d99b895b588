/**
 * R16: a hypervisor's poll operation looks at the ports it was given, and not for an upcall that can be delivered.
 *
 * Where: Xen's SCHEDOP_poll until 27b186a0db.
 *
 * The fault is in the hypervisor, so it is written out here in named words. vCPU 0 is a guest that waits for port P by
 * polling; P is raised only by its own handler of port Q. vCPU 1 plays the sender of Q.
 * 1. vCPU 0 enters the poll operation; nothing to deliver so far.
 * 2. vCPU 1 sends Q: pending, upcall flag; vCPU 0 is not marked as blocked yet, so there is nobody to wake.
 * 3. vCPU 0 is marked blocked; P is not pending; it sleeps.
 * It sleeps although an upcall is due, and only that upcall would raise P.
 *
 * Invariant: a sleeping poller has no listed port pending and no upcall that could be delivered.
 * Seen as: deadlock, under sc and tso. Nothing but the arrival between entry and mark is needed.
 *
 *   upcall explore examples/races/r16-poll-looks-at-its-ports-only.ts
 *   upcall explore examples/races/r16-poll-looks-at-its-ports-only.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const P = 1;
const Q = 2;

export default defineScenario({
  name: 'r16-poll-looks-at-its-ports-only',
  description:
    'a poll operation goes to sleep although an upcall could be delivered, and only its handler ends the poll',
  words: { pending: 0, upcall: 0, blocked: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { pending, upcall, blocked } = vcpu.words;

      /** Each return to the guest: delivers what is due. */
      function returnToGuest(): void {
        if (upcall.exchange(0) === 0) return;
        if ((pending.and(~Q) & Q) !== 0) pending.or(P);
      }

      /** The poll operation, for P alone. */
      function poll(): void {
        blocked.store(1);
        const due = vcpu.domain.args.variant === 'fixed' && upcall.load() !== 0;
        if (due || (pending.load() & P) !== 0) blocked.store(0);
        else vcpu.memory.wait32(blocked.address, 1);
      }

      while ((pending.load() & P) === 0) {
        poll();
        returnToGuest();
      }
    },
    (vcpu) => {
      const { pending, upcall, blocked } = vcpu.words;
      pending.or(Q);
      if (upcall.exchange(1) !== 0) return;
      if (blocked.exchange(0) !== 0) vcpu.memory.notify32(blocked.address);
    },
  ],
});
