/**
 * A lock whose waiters sleep in block(), upcalls enabled, so that its holder may sleep as well. Fair: first come, first
 * served. Not from a handler; not recursive.
 *
 * One ticket word as in `Spinlock`, and a `WaitQueue` on its address. Whoever unlocks passes the turn on, then wakes the
 * waiters: the queue's argument holds with "it is my turn" as the condition.
 *
 * @source Linux, kernel/locking/mutex.c (what it offers; the means are our own)
 */
import type { Events } from './events';
import { nextTicket, passTicket, servedTicket, takeTicket, tryTicket } from './spinlock';
import type { Word } from './vcpu';
import { WaitQueue } from './wait-queue';

export class Mutex {
  private readonly waiters: WaitQueue;

  /**
   * @param events - of the vCPU that uses this object; each vCPU makes its own over the same word
   * @param word - the lock; 0 = free
   * @throws HypercallError ENOSPC
   */
  constructor(
    events: Events,
    private readonly word: Word,
  ) {
    this.waiters = new WaitQueue(events, word.address);
  }

  /** Takes the lock, asleep while another vCPU has it. If it slept it returns with upcalls enabled. */
  lock(): void {
    const ticket = takeTicket(this.word);
    const isMyTurn = (): boolean => servedTicket(this.word.load()) === ticket;
    if (!isMyTurn()) this.waiters.wait(isMyTurn);
  }

  /** Takes the lock if it is free at once; returns whether it did. */
  tryLock(): boolean {
    return tryTicket(this.word);
  }

  /** Releases the lock and wakes who waits for it. Only the holder may. */
  unlock(): void {
    const value = passTicket(this.word);
    if (servedTicket(value) !== nextTicket(value)) this.waiters.wakeAll();
  }
}
