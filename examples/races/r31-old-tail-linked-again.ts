/**
 * R31: a queue's tail is linked to although it is off the queue, and on it again only by half, or on another one.
 *
 * Where: xen e33d4257fc, which tells both cases.
 *
 * The fault is in the hypervisor, so all sides are written out here in named words: vCPUs 1 and 2 play senders, vCPU 0 a
 * guest that takes events off its queues. Queue A is empty; its tail is still event 1, which was on it last.
 * 1. Sender 1 raises event 1: sets LINKED in its word.
 * 2. Sender 2 raises event 2: takes the queue's lock, finds that the tail is linked, links it to 2, and leaves the head alone.
 * 3. Sender 1 takes the lock, finds that the tail, now 2, is linked, links it to 1, and leaves the head alone.
 * The two events are linked to each other and nothing leads to them.
 *
 * Variant moved: event 1 has another priority by now. Sender 1 puts it on queue B; it is still A's tail. Sender 2 raises
 * event 2 for A, finds the tail linked, and links it to 2: event 2 is served as one of B's, and A's head never hears of it.
 *
 * The cure holds the lock from the test of LINKED on, remembers the queue an event was on last, and has a queue forget its
 * tail when that is raised anew. One lock for both queues is enough here.
 *
 * Invariant: walking from the heads along the links visits exactly the linked events, each on its own queue.
 * Seen as: deadlock, under sc and tso, with one preemption; variant moved: assertion, with none.
 *
 *   upcall explore examples/races/r31-old-tail-linked-again.ts
 *   upcall explore examples/races/r31-old-tail-linked-again.ts --args '{"variant":"moved"}'
 *   upcall explore examples/races/r31-old-tail-linked-again.ts --args '{"variant":"fixed"}'
 *   upcall explore examples/races/r31-old-tail-linked-again.ts --args '{"variant":"fixed-moved"}'
 */
import { defineScenario } from 'upcall';
import { FIFO_MASKS } from 'upcall/abi';
import { Spinlock, type Vcpu } from 'upcall/guest';

const { LINK, LINKED } = FIFO_MASKS;
const A = 0;
const B = 1;

function sender(vcpu: Vcpu, number: number): void {
  const { event, head, onQueue, ready, tail } = vcpu.words;
  const { variant } = vcpu.domain.args;
  const lock = new Spinlock(vcpu, vcpu.words.lock);
  const cured = variant === 'fixed' || variant === 'fixed-moved';
  const queue = number === 1 && (variant === 'moved' || variant === 'fixed-moved') ? B : A;

  /** Sets LINKED; returns whether it was set. */
  const testAndLink = (): boolean => (event[number].or(LINKED) & LINKED) !== 0;

  /** False if the tail is off the queue. */
  function append(tailNumber: number): boolean {
    for (;;) {
      const seen = event[tailNumber].load();
      if ((seen & LINKED) === 0) return false;
      if (event[tailNumber].compareExchange(seen, (seen & ~LINK) | number) === seen) return true;
    }
  }

  if (!cured && testAndLink()) return;
  lock.lock();
  if (cured) {
    // Nobody else raises this event: it is not linked yet.
    testAndLink();
    const old = onQueue[number].read();
    if (tail[old].read() === number) tail[old].write(0);
  }
  onQueue[number].write(queue);
  const last = tail[queue].read();
  const appended = last !== 0 && last !== number && append(last);
  if (!appended) head[queue].store(number);
  tail[queue].write(number);
  lock.unlock();
  if (appended) return;
  ready.or(1 << queue);
  vcpu.memory.notify32(ready.address);
}

export default defineScenario({
  name: 'r31-old-tail-linked-again',
  description:
    'the tail of an empty FIFO queue is raised anew while another event is linked to it: no head leads to either',
  words: {
    /** Event words; there is no event 0. */
    event: [0, 0, 0],
    ready: 0,
    head: [1, 0],
    /** The hypervisor's own; guarded by the lock. */
    tail: [1, 0],
    onQueue: [A, A, A],
    lock: 0,
  },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { event, head, onQueue, ready } = vcpu.words;
      const localHead = [0, 0];
      let taken = 0;

      function takeNext(queue: number): boolean {
        const number = localHead[queue] || head[queue]!.load();
        vcpu.assert(onQueue[number]!.load() === queue, `event ${number} is taken off a queue it is not on`);
        for (;;) {
          const seen = event[number]!.load();
          if (event[number]!.compareExchange(seen, seen & ~(LINKED | LINK)) !== seen) continue;
          taken |= 1 << number;
          localHead[queue] = seen & LINK;
          return localHead[queue] === 0;
        }
      }

      while (taken !== ((1 << 1) | (1 << 2))) {
        let queues = ready.exchange(0);
        if (queues === 0) vcpu.memory.wait32(ready.address, 0);
        while (queues !== 0) {
          const queue = (queues & 1) !== 0 ? A : B;
          if (takeNext(queue)) queues &= ~(1 << queue);
        }
      }
    },
    (vcpu) => sender(vcpu, 1),
    (vcpu) => sender(vcpu, 2),
  ],
});
