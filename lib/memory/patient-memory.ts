/**
 * The hypervisor's memory for a thread that must not wait for ever: an AtomicsMemory whose locks give up when they are
 * not to be had within a second or so. A lock stays taken when the thread that holds it is ended from outside.
 */
import { AtomicsMemory, WRITER_WAITS } from './atomics-memory';
import type { LockableMemory } from './memory';

/** Attempts at a lock; all but the first few hundred sleep, up to a millisecond each. */
const MOST_ATTEMPTS = 1500;

/** Thrown where a lock is not to be had. */
export class StuckLockError extends Error {
  override readonly name = 'StuckLockError';
}

class PatientMemory extends AtomicsMemory {
  protected override backOff(index: number, seen: number, attempt: number): void {
    if (attempt < MOST_ATTEMPTS) {
      super.backOff(index, seen, attempt);
      return;
    }
    // A waiting writer's mark must not outlive its waiting; another writer that waits sets it again.
    Atomics.and(this.i32, index, ~WRITER_WAITS);
    throw new StuckLockError(`the lock at ${index * 4} is held for good: its holder was ended`);
  }
}

export function openPatientMemory(buffer: SharedArrayBuffer): LockableMemory {
  return new PatientMemory(buffer);
}
