/**
 * R33: of two senders of one event, one wakes the poller while the other has still to put the event on its queue.
 *
 * Where: xen 71ac522909; there since the channels got locks of their own, likelier since 5f2df45ead.
 *
 * The fault is in the hypervisor, so all sides are written out here in named words: vCPUs 1 and 2 play senders of the same
 * event, vCPU 0 a guest that sleeps in a poll and looks at its queue when it is woken.
 * 1. Sender 1 sets PENDING, which was clear.
 * 2. Sender 2 finds PENDING set, and sets LINKED, which was clear.
 * 3. Sender 1 finds LINKED set: the event is on its queue, so it seems. It wakes the poller, whose event changed.
 * 4. The poller finds nothing on its queue and sleeps again.
 * 5. Sender 2 puts the event on the queue. It has no poller to wake.
 *
 * The cure: the queue's lock is held over the tests of both bits and the enqueue.
 *
 * Invariant: a poller is woken only when the event can be reached from its queue's head.
 * Seen as: deadlock, under sc and tso. It takes two preemptions.
 *
 *   upcall explore examples/races/r33-poller-woken-before-event-is-queued.ts
 *   upcall explore examples/races/r33-poller-woken-before-event-is-queued.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { FIFO_MASKS } from 'upcall/abi';
import { Spinlock, type Vcpu } from 'upcall/guest';

const PENDING = FIFO_MASKS.PENDING | 0;
const { LINKED } = FIFO_MASKS;
const PORT = 1;

function sender(vcpu: Vcpu): void {
  const { blocked, event, head } = vcpu.words;
  const lock = new Spinlock(vcpu, vcpu.words.lock);
  const locks = vcpu.domain.args.variant === 'fixed';

  if (locks) lock.lock();
  const wasPending = (event.or(PENDING) & PENDING) !== 0;
  if ((event.or(LINKED) & LINKED) === 0) head.store(PORT);
  if (locks) lock.unlock();
  if (!wasPending && blocked.exchange(0) !== 0) vcpu.memory.notify32(blocked.address);
}

export default defineScenario({
  name: 'r33-poller-woken-before-event-is-queued',
  description: 'two senders of one event: one wakes the poller before the other has put the event on its queue',
  words: { event: 0, head: 0, blocked: 0, lock: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { blocked, head } = vcpu.words;
      for (;;) {
        blocked.store(1);
        if (head.load() !== 0) return;
        vcpu.memory.wait32(blocked.address, 1);
      }
    },
    sender,
    sender,
  ],
});
