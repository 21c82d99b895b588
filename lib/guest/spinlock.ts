/**
 * Ticket spinlock in one word: the upper half is the next ticket to hand out, the lower half the ticket being
 * served. Fair (first come, first served), so no vCPU starves; not recursive.
 *
 * Order: taking a ticket and passing the turn on are sequentially consistent read-modify-writes of the same word,
 * so everything the previous holder did is visible to the next.
 *
 * A lock that a handler takes too must be held with upcalls disabled everywhere else
 * ({@link Spinlock.lockIrqSave}): a handler that interrupts the holder on the same vCPU would wait for ever.
 *
 * Leaves out: sleeping. See `PvSpinlock` for a waiter that lets its processor go.
 *
 * @source Linux, kernel/locking (ticket locks as used on x86 up to 4.1)
 */
import { irqRestore, irqSave } from './irq';
import type { Vcpu, Word } from './vcpu';

const NEXT_ONE = 0x10000;
const HALF = 0xffff;

/** The ticket being served, of the value of a lock's word. */
export function servedTicket(value: number): number {
  return value & HALF;
}

/** The ticket to be handed out next. */
export function nextTicket(value: number): number {
  return value >>> 16;
}

/** Takes a ticket; returns it. At most 65535 vCPUs may wait at once. */
export function takeTicket(word: Word): number {
  return nextTicket(word.add(NEXT_ONE));
}

/** Takes the lock if nobody holds it or waits for it. */
export function tryTicket(word: Word): boolean {
  const value = word.load();
  return servedTicket(value) === nextTicket(value) && word.compareExchange(value, (value + NEXT_ONE) | 0) === value;
}

/**
 * Passes the turn on; returns the word's new value.
 *
 * Only the holder changes the lower half, so reading it first is safe; when it wraps, the carry into the upper
 * half is taken back by the same addition.
 */
export function passTicket(word: Word): number {
  const step = servedTicket(word.load()) === HALF ? 1 - NEXT_ONE : 1;
  return (word.add(step) + step) | 0;
}

export class Spinlock {
  /**
   * @param vcpu - the vCPU that uses this object; each vCPU makes its own over the same word
   * @param word - the lock; 0 = free
   */
  constructor(
    private readonly vcpu: Vcpu,
    private readonly word: Word,
  ) {}

  /** Takes the lock, spinning while another vCPU holds it. Upcalls are taken meanwhile if they are enabled. */
  lock(): void {
    const ticket = takeTicket(this.word);
    while (servedTicket(this.word.load()) !== ticket) this.vcpu.relax();
  }

  /** Takes the lock if it is free at once; returns whether it did. */
  tryLock(): boolean {
    return tryTicket(this.word);
  }

  /** Releases the lock. Only its holder may. */
  unlock(): void {
    passTicket(this.word);
  }

  /** True while some vCPU holds the lock. */
  isLocked(): boolean {
    const value = this.word.load();
    return servedTicket(value) !== nextTicket(value);
  }

  /** Disables upcalls, then takes the lock; returns what {@link unlockIrqRestore} needs. */
  lockIrqSave(): number {
    const flags = irqSave(this.vcpu);
    this.lock();
    return flags;
  }

  /** Releases the lock, then puts the upcall mask back and takes upcalls that came meanwhile. */
  unlockIrqRestore(flags: number): void {
    this.unlock();
    irqRestore(this.vcpu, flags);
  }
}
