/**
 * R19: a booting vCPU sleeps for a lock before it is in the set that wakers look at.
 *
 * Where: Linux 1fb3a8b2cfb2: a booting processor polled for a lock before it was marked online, and kicks skip
 * processors that are not.
 *
 * 1. vCPU 1, booting, finds the lock held by vCPU 0 and polls its kick port.
 * 2. vCPU 0 releases the lock. vCPU 1 is not online: it kicks nobody.
 * vCPU 1 sleeps for a lock that is free.
 *
 * Invariant: who sleeps is in the set that its wakers address.
 * Seen as: deadlock, under sc and tso. It takes no preemption.
 * The cure: spin until one can be kicked.
 *
 *   upcall explore examples/races/r19-sleeping-before-kickable.ts
 *   upcall explore examples/races/r19-sleeping-before-kickable.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const KICK = 1;
const KICK_BIT = 1 << KICK;
/** vCPU 1 in the word `online`. */
const BOOTING = 1 << 1;

export default defineScenario({
  name: 'r19-sleeping-before-kickable',
  description: 'a booting vCPU polls for a lock before the releaser would kick it',
  words: { lock: 1, online: 1 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    domain.sharedInfo.evtchn_mask.word(0).or(KICK_BIT);
    domain.hypercall.evtchn.bindIpi(1);
  },
  guests: [
    // Holds the lock from the start.
    (vcpu) => {
      const { lock, online } = vcpu.words;
      lock.store(0);
      if ((online.load() & BOOTING) !== 0) vcpu.hypercall.evtchn.send(KICK);
    },
    (vcpu) => {
      const { lock, online } = vcpu.words;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      while (lock.compareExchange(0, 1) !== 0) {
        if (vcpu.domain.args.variant === 'fixed' && (online.load() & BOOTING) === 0) {
          vcpu.relax();
        } else {
          vcpu.hypercall.sched.poll([KICK]);
          pending.and(~KICK_BIT);
        }
      }
      lock.store(0);
      online.or(BOOTING);
    },
  ],
});
