/**
 * R18: an upcall between "is the lock free?" and "sleep" takes another lock, and uses up the kick meant for the first.
 *
 * Where: the paravirtual spinlocks of Linux, until 168d2f464ab9 (8482cb16e2bc for ticket locks).
 *
 * A vCPU that finds a lock taken clears the pending bit of its kick port, looks at the lock once more, enables upcalls
 * again and polls the kick port (masked: it is only polled). Who releases a lock kicks the waiter.
 * Another event of vCPU 0 is pending at first.
 * 1. vCPU 0, upcalls disabled, clears the kick and finds lock `outer` held.
 * 2. vCPU 1 releases `outer` and kicks vCPU 0.
 * 3. vCPU 0 enables upcalls. The upcall takes lock `inner` the slow way: it clears the kick and finds `inner` free.
 * 4. vCPU 0 polls: no kick is pending.
 * It sleeps; the lock it waits for is free.
 *
 * Invariant: a lock that is free while a vCPU sleeps for it has that vCPU's kick pending.
 * Seen as: deadlock, under sc and tso. It takes one preemption and the upcall.
 * The cure: who may have used up a kick of the code it interrupted puts it back.
 *
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r18-nested-lock-eats-kick.ts [--events fifo]
 *   upcall explore examples/races/r18-nested-lock-eats-kick.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const KICK = 1;
const EVENT = 2;

export default defineScenario({
  name: 'r18-nested-lock-eats-kick',
  description: 'a lock taken in an upcall clears the kick of the lock wait that it interrupted',
  words: { outer: 1, inner: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain).mask(KICK).set();
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(EVENT);
  },
  guests: [
    (vcpu) => {
      const fixed = vcpu.domain.args.variant === 'fixed';
      const { info } = vcpu;
      const { outer, inner } = vcpu.words;
      const ports = barePorts(vcpu);
      const kick = ports.pending(KICK);
      let waiting = false;

      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          ports.pending(EVENT).clear();
          // The slow way into a lock, which finds it free.
          kick.clear();
          vcpu.assert(inner.compareExchange(0, 1) === 0, 'nobody else takes the inner lock');
          if (fixed && waiting) kick.set();
          inner.store(0);
        });
      });

      // Upcalls are disabled from boot.
      waiting = true;
      for (;;) {
        kick.clear();
        if (outer.compareExchange(0, 1) === 0) break;
        info.evtchn_upcall_mask.write(0);
        vcpu.hypercall.sched.poll([KICK]);
        info.evtchn_upcall_mask.write(1);
      }
      waiting = false;
      outer.store(0);
    },
    // Holds the outer lock from the start.
    (vcpu) => {
      vcpu.words.outer.store(0);
      vcpu.hypercall.evtchn.send(KICK);
    },
  ],
});
