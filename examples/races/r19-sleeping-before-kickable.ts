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
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r19-sleeping-before-kickable.ts [--events fifo]
 *   upcall explore examples/races/r19-sleeping-before-kickable.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const KICK = 1;
/** vCPU 1 in the word `online`. */
const BOOTING = 1 << 1;

export default defineScenario({
  name: 'r19-sleeping-before-kickable',
  description: 'a booting vCPU polls for a lock before the releaser would kick it',
  words: { lock: 1, online: 1 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain).mask(KICK).set();
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
      const kick = barePorts(vcpu).pending(KICK);
      while (lock.compareExchange(0, 1) !== 0) {
        if (vcpu.domain.args.variant === 'fixed' && (online.load() & BOOTING) === 0) {
          vcpu.relax();
        } else {
          vcpu.hypercall.sched.poll([KICK]);
          kick.clear();
        }
      }
      lock.store(0);
      online.or(BOOTING);
    },
  ],
});
