/**
 * All vCPUs add to one plain counter under a lock whose waiters sleep.
 *
 * Teaches: a paravirtual spinlock. A waiter that has spun in vain gives up its processor in SCHEDOP_poll and is kicked
 * by the holder when its turn comes; a bare spinlock would burn the time slice the holder may need.
 *
 *     npx upcall run examples/poll-spinlock.ts --vcpus 4 --args '{"rounds": 1000, "spins": 0}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { PvSpinlock } from 'upcall/guest';

export default defineScenario({
  name: 'poll-spinlock',
  description: 'a contended lock whose waiters sleep in SCHEDOP_poll',
  vcpus: 2,
  words: { lock: 0, counter: 0, inside: 0 },
  args: { rounds: 50, spins: 1 },

  guest(vcpu) {
    const { counter, inside } = vcpu.words;
    const { rounds, spins } = vcpu.domain.args;
    const lock = new PvSpinlock(vcpu, vcpu.words.lock, spins);

    for (let round = 0; round < rounds; round++) {
      lock.lock();
      vcpu.assert(inside.exchange(1) === 0, 'two vCPUs hold the lock');
      // Read, add, write: without the lock another vCPU's addition between the two would be lost.
      counter.write(counter.read() + 1);
      inside.store(0);
      lock.unlock();
    }
    return { rounds };
  },

  check({ domain, words, args }) {
    assert.equal(words.counter.read(), domain.vcpus * args.rounds, 'no addition was lost');
  },
});
