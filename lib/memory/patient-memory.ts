/**
 * The hypervisor's memory for a thread that must not wait for ever: an AtomicsMemory whose locks give up when they are
 * not to be had within a second or so. A lock stays taken when the thread that holds it is ended from outside, until
 * the thread that looks after it, the one that has this memory, comes to that.
 */
import { AtomicsMemory } from './atomics-memory';
import { type LockHolder, WRITER_WAITS } from './lock-words';
import type { LockableMemory } from './memory';

/** Attempts at a lock; all but the first few hundred sleep, up to a millisecond each. */
const MOST_ATTEMPTS = 1500;

/** Thrown where a lock is not to be had. */
export class StuckLockError extends Error {
  override readonly name = 'StuckLockError';
}

class PatientMemory extends AtomicsMemory {
  protected override backOff(address: number, seen: number, attempt: number): void {
    if (attempt < MOST_ATTEMPTS) {
      super.backOff(address, seen, attempt);
      return;
    }
    // A waiting writer's mark must not outlive its waiting; another writer that waits sets it again.
    this.and32(address, ~WRITER_WAITS);
    throw new StuckLockError(`the lock at ${address} is held for long: its holder may have been ended`);
  }
}

export function openPatientMemory(buffer: SharedArrayBuffer, holder?: LockHolder, number?: number): LockableMemory {
  return new PatientMemory(buffer, holder, number);
}
