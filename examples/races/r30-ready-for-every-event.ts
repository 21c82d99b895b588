/**
 * R30: the hypervisor sets a queue's ready bit for every event, not only for one that starts the queue.
 *
 * Where: xen 70ccddb14a, in the first months of the FIFO ABI.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words: vCPU 1 plays the hypervisor, vCPU 0 a
 * guest that takes events off its queues. Event 1 is on queue A at first.
 * 1. The hypervisor puts event 2 behind event 1.
 * 2. The guest takes both off; queue A is empty. Its head in the control block still says 1.
 * 3. The hypervisor sets the ready bit of A, for event 2.
 * 4. The hypervisor puts event 1 on queue B: stores the head, sets the ready bit.
 * 5. The guest finds A ready, believes its old head, and takes event 1 off as if it were on A.
 * From there on it walks along the links of the wrong queue.
 *
 * Invariant: a ready bit that is set comes with a head that is on that queue.
 * Seen as: assertion, under sc and tso. It takes one preemption.
 *
 *   upcall explore examples/races/r30-ready-for-every-event.ts
 *   upcall explore examples/races/r30-ready-for-every-event.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { FIFO_MASKS } from 'upcall/abi';

const { LINK, LINKED } = FIFO_MASKS;
const A = 0;
const B = 1;

export default defineScenario({
  name: 'r30-ready-for-every-event',
  description:
    'the ready bit of a FIFO queue is set for an event that was appended: the guest believes a head that is old',
  words: {
    /** Event words; there is no event 0. */
    event: [0, LINKED, 0],
    ready: 1 << A,
    head: [1, 0],
    /** The hypervisor's own. */
    tail: [1, 0],
    /** The queue an event was put on last: what the check below goes by. */
    onQueue: [A, A, A],
    finished: 0,
  },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { event, finished, head, onQueue, ready } = vcpu.words;
      const localHead = [0, 0];

      function takeNext(queue: number): boolean {
        const number = localHead[queue] || head[queue]!.load();
        vcpu.assert(onQueue[number]!.load() === queue, `event ${number} is taken off a queue it is not on`);
        for (;;) {
          const seen = event[number]!.load();
          if (event[number]!.compareExchange(seen, seen & ~(LINKED | LINK)) !== seen) continue;
          localHead[queue] = seen & LINK;
          return localHead[queue] === 0;
        }
      }

      for (;;) {
        const last = finished.load();
        let queues = ready.exchange(0);
        if (queues === 0 && last !== 0) return;
        if (queues === 0) vcpu.relax();
        while (queues !== 0) {
          const queue = (queues & 1) !== 0 ? A : B;
          if (takeNext(queue)) queues &= ~(1 << queue);
          queues |= ready.exchange(0);
        }
      }
    },
    (vcpu) => {
      const { event, finished, head, onQueue, ready, tail } = vcpu.words;

      /** False if the tail is off the queue. */
      function append(tailNumber: number, number: number): boolean {
        for (;;) {
          const seen = event[tailNumber]!.load();
          if ((seen & LINKED) === 0) return false;
          if (event[tailNumber]!.compareExchange(seen, (seen & ~LINK) | number) === seen) return true;
        }
      }

      function raise(number: number, queue: number): void {
        if ((event[number]!.or(LINKED) & LINKED) !== 0) return;
        onQueue[number]!.store(queue);
        const last = tail[queue]!.read();
        const appended = last !== 0 && append(last, number);
        if (!appended) head[queue]!.store(number);
        tail[queue]!.write(number);
        if (!appended || vcpu.domain.args.variant !== 'fixed') ready.or(1 << queue);
      }

      raise(2, A);
      raise(1, B);
      finished.store(1);
    },
  ],
});
