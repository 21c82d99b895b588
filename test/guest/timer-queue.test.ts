import { expect } from 'chai';
import fc from 'fast-check';
import { KERNEL_BLOCK, MAX_TIMERS } from '../../lib/guest/kernel-area';
import { TimerQueue } from '../../lib/guest/timer-queue';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';

const BLOCK = KERNEL_BLOCK.size;

function newQueue(): TimerQueue {
  return new TimerQueue(new AtomicsMemory(new SharedArrayBuffer(2 * BLOCK)), BLOCK);
}

/** All armed timers, by taking them out. */
function drain(queue: TimerQueue): number[] {
  const order: number[] = [];
  for (let timer = queue.first(); timer >= 0; timer = queue.first()) {
    order.push(timer);
    queue.remove(timer);
  }
  return order;
}

describe('TimerQueue', () => {
  it('is empty over zeroed memory', () => {
    expect(newQueue().first()).to.equal(-1);
  });

  it('keeps deadlines beyond 32 bits', () => {
    const queue = newQueue();
    queue.insert(3, 2 ** 40 + 5, 2 ** 33);
    expect(queue.deadline(3)).to.equal(2 ** 40 + 5);
    expect(queue.period(3)).to.equal(2 ** 33);
  });

  it('gives timers of one deadline in the order of their insertion', () => {
    const queue = newQueue();
    for (const timer of [4, 1, 9]) queue.insert(timer, 100, 0);
    expect(drain(queue)).to.deep.equal([4, 1, 9]);
  });

  it('tells whether the head changed', () => {
    const queue = newQueue();
    expect(queue.insert(0, 50, 0)).to.equal(true);
    expect(queue.insert(1, 60, 0)).to.equal(false);
    expect(queue.insert(2, 40, 0)).to.equal(true);
    expect(queue.remove(1)).to.equal(false);
    expect(queue.remove(1), 'not armed any more').to.equal(false);
    expect(queue.remove(2)).to.equal(true);
  });

  it('behaves like a sorted list under any sequence of insertions and removals', () => {
    const step = fc.record({
      timer: fc.nat(MAX_TIMERS - 1),
      deadline: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 2 ** 50 })),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = newQueue();
        let model: { timer: number; deadline: number }[] = [];
        for (const { timer, deadline, remove } of steps) {
          queue.remove(timer);
          model = model.filter((entry) => entry.timer !== timer);
          if (remove) continue;
          queue.insert(timer, deadline, 0);
          const at = model.findIndex((entry) => entry.deadline > deadline);
          model.splice(at < 0 ? model.length : at, 0, { timer, deadline });
        }
        expect(drain(queue)).to.deep.equal(model.map(({ timer }) => timer));
      }),
      { seed: 41 },
    );
  });
});
