/** Where the contenders of locks.test.ts meet, and what each is told. Words a cache line apart. */
export const LOCK = 0;
/** Written together under the lock. */
export const SECOND = 64;
export const THIRD = 128;
/** Counts the contenders that have arrived. */
export const READY = 192;
export const GO = 256;

export interface LockTask {
  readonly buffer: SharedArrayBuffer;
  readonly role: 'writer' | 'reader' | 'trying reader';
  readonly rounds: number;
}
