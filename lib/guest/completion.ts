/**
 * Waiting for another vCPU to be done with something, asleep: a counter of completions, each of which lets one waiter
 * pass. See `WaitQueue` for why no waiter is forgotten.
 *
 * @source Linux, kernel/sched/completion.c (what it offers; the means are our own)
 */
import type { Events } from './events';
import type { Word } from './vcpu';
import { WaitQueue } from './wait-queue';

/** What {@link Completion.completeAll} sets the counter to: far more than there will ever be waiters. */
const FOR_EVER = 0x4000_0000;

export class Completion {
  private readonly waiters: WaitQueue;

  /**
   * Binds this vCPU's wake port if it has none yet.
   * @param events - of the vCPU that uses this object; each vCPU makes its own over the same word
   * @param word - the counter; 0 = nothing completed yet
   * @throws HypercallError ENOSPC
   */
  constructor(
    events: Events,
    private readonly word: Word,
  ) {
    this.waiters = new WaitQueue(events, word.address);
  }

  /** Lets one waiter pass, now or when it comes. From any vCPU; from a handler too. */
  complete(): void {
    this.word.add(1);
    this.waiters.wakeAll();
  }

  /** Lets all waiters pass, those to come included. */
  completeAll(): void {
    this.word.store(FOR_EVER);
    this.waiters.wakeAll();
  }

  /** Passes if that is possible at once; returns whether it did. */
  tryWait(): boolean {
    for (let count = this.word.load(); count > 0; count = this.word.load()) {
      if (count >= FOR_EVER || this.word.compareExchange(count, count - 1) === count) return true;
    }
    return false;
  }

  /** Sleeps until it may pass. Not from a handler. Returns with upcalls enabled. */
  wait(): void {
    this.waiters.wait(() => this.tryWait());
  }
}
