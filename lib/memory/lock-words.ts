/**
 * The words of the locks of the free-running Memory, and what is known of the thread that takes them: enough to tell, when a
 * thread was ended from outside at any instruction, which locks it has left behind.
 *
 * A word: bit 31, held for writing; bit 30, a writer waits (new readers stand back); bit 29, being mended (nobody takes
 * it); below, the number of readers, or while bit 31 is set, the holder's id. Only a compare-exchange takes a lock,
 * so the word says at every instant who holds it for writing, and a reader that finds it taken has not changed it.
 *
 * Readers are only counted. So each thread notes a lock before it counts itself there, and crosses it out after it has taken
 * the count back, in words that outlive it. A note of a dead thread says "perhaps": it may have died before it counted, or
 * after it took the count back. {@link beginMending} and {@link endMending} settle that without knowing: see there.
 */
import type { Memory } from './memory';

/** Held for writing. */
export const WRITER = 1 << 31;
/** A writer waits. */
export const WRITER_WAITS = 1 << 30;
/** Nobody takes the lock: what a dead thread has left in its word is being removed. */
export const MENDING = 1 << 29;
/** What is not to be taken for reading. */
export const STANDS_OFF = WRITER | WRITER_WAITS | MENDING;
/** What others set beside the holder's part of the word; it stays when the holder leaves. */
export const OF_OTHERS = WRITER_WAITS | MENDING;
/** The number of readers, or the holder's id. */
const COUNT = MENDING - 1;

/** Locks a thread may hold for reading at a time. The hypervisor's threads hold two at most. */
export const NOTES = 4;
/** Locks of the buffer numbered n are noted by n times this plus the word's index plus 1: never 0, below 2^31 for 256 domains. */
export const LOCKS_PER_BUFFER = 1 << 22;

/** A thread as the locks know it. One object for all the memories of a thread. */
export class LockHolder {
  /** Notes in use: scratch of the thread. */
  $depth = 0;

  /**
   * @param id - 1 .. 2^29-1, unique among the threads that share the locks; 0: a lock's word names no holder
   * @param notes - {@link NOTES} words that outlive the thread, all 0
   */
  constructor(
    readonly id: number,
    readonly notes: Int32Array,
  ) {}

  /** The thread holds nothing any more: others have put the locks back to what they were before it took them. */
  forgetAll(): void {
    this.$depth = 0;
    this.notes.fill(0);
  }
}

/** A holder that nobody looks after: for memories whose threads are not ended from outside. */
export function lonelyHolder(): LockHolder {
  return new LockHolder(1, new Int32Array(NOTES));
}

/** The id of the thread that holds a lock for writing, by the lock's word; 0: nobody does. */
export function writerOf(word: number): number {
  return (word & WRITER) === 0 ? 0 : word & COUNT;
}

/** How many hold a lock for reading, by its word. */
export function readersOf(word: number): number {
  return (word & WRITER) === 0 ? word & COUNT : 0;
}

/** Takes a lock away from a writer that is dead. Precondition: it holds the lock, and what the lock guards is whole. */
export function takeFromWriter(memory: Memory, address: number): void {
  memory.and32(address, OF_OTHERS);
}

/**
 * First half of taking a lock away from dead readers: from now on nobody takes it. Those who hold it finish, and release it.
 *
 * Between the halves wait until each living thread was seen, after this, with no note of the lock. Such a thread does not hold
 * it: it notes before it counts itself and crosses out after it has taken the count back. It will not come to hold it
 * either: its compare-exchange cannot succeed while bit 29 is set, whatever it has read before. So when all were seen, the
 * count is what dead threads have left, however many of them, wherever they died; a dead thread whose note said
 * "perhaps" is in it or is not.
 *
 * Nobody waits for ever in between: a thread that wants the lock crosses out its note while it waits, also while it holds
 * other locks; so of several locks that are mended at once each is settled as soon as those that are later in the order
 * of locks are.
 */
export function beginMending(memory: Memory, address: number): void {
  memory.or32(address, MENDING);
}

/**
 * Second half: removes the count and lets the lock be taken again.
 * @returns how many dead readers were counted
 */
export function endMending(memory: Memory, address: number): number {
  for (;;) {
    const seen = memory.load32(address);
    // Held for writing: then nobody was counted. A waiting writer's mark stays.
    const mended = (seen & WRITER) !== 0 ? seen & ~MENDING : seen & WRITER_WAITS;
    if (memory.compareExchange32(address, seen, mended) === seen) return readersOf(seen);
  }
}
