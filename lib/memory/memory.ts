/**
 * The one door to shared words: every mutable word of hypervisor and guest goes through a `Memory`.
 *
 * The free-running engine implements it with one call to Atomics or one typed-array access each
 * ({@link AtomicsMemory}); the deterministic engines implement it with a scheduling point each. Code
 * above this interface cannot tell which.
 *
 * Conventions, for every method:
 * - `address` is a byte offset into the region the Memory covers (a domain's pseudo-physical memory, or a
 *   region private to the hypervisor). 32-bit accesses need it to be a multiple of 4. Callers validate
 *   guest-supplied addresses first ({@link Memory.contains}); an access outside the region, or at anything but a
 *   multiple of its width, throws RangeError.
 * - 32-bit results are signed, as those of an Int32Array; write `>>> 0` where an unsigned value is meant.
 *   8-bit results are 0..255. Operands are taken modulo 2^32 (2^8).
 * - 64-bit fields are little-endian pairs of 32-bit words; a bit operation goes to the half that holds the bit.
 */
export interface Memory {
  /** Size of the region in bytes. */
  readonly byteLength: number;

  /** True when `[address, address + length)` lies inside the region. Never throws, whatever the numbers. */
  contains(address: number, length: number): boolean;

  // Plain accesses: what C would compile to a mov. No order between different words is promised on threads;
  // in exploration they follow the chosen memory model (x86-TSO: stores go through the vCPU's store buffer).
  read8(address: number): number;
  read32(address: number): number;
  write8(address: number, value: number): void;
  write32(address: number, value: number): void;

  // Atomic accesses: sequentially consistent, as a LOCK-prefixed instruction. All but load and store
  // return the old value.
  load8(address: number): number;
  store8(address: number, value: number): void;
  add8(address: number, value: number): number;
  and8(address: number, value: number): number;
  or8(address: number, value: number): number;
  xor8(address: number, value: number): number;
  exchange8(address: number, value: number): number;
  /** Stores `replacement` if the byte equals `expected`; returns the old byte either way. */
  compareExchange8(address: number, expected: number, replacement: number): number;

  load32(address: number): number;
  store32(address: number, value: number): void;
  add32(address: number, value: number): number;
  and32(address: number, value: number): number;
  or32(address: number, value: number): number;
  xor32(address: number, value: number): number;
  exchange32(address: number, value: number): number;
  /** Stores `replacement` if the word equals `expected`; returns the old word either way. */
  compareExchange32(address: number, expected: number, replacement: number): number;

  /** Full barrier: earlier plain stores are visible before later plain loads execute (MFENCE). */
  fence(): void;

  /**
   * Sleeps while the word equals `expected` until notified. Always re-check in a loop.
   * @param timeoutNs - relative; absent or Infinity means no limit, 0, less or NaN no time at all
   */
  wait32(address: number, expected: number, timeoutNs?: number): 'ok' | 'not-equal' | 'timed-out';

  /** Wakes up to `count` (default: all) sleepers on the word; returns how many were woken. */
  notify32(address: number, count?: number): number;
}

/**
 * A `Memory` whose words may also serve as read-write locks, for state private to the hypervisor.
 *
 * A lock is one 32-bit word, 0 when free. Each operation is one scheduling point in the deterministic
 * engines (an acquisition is enabled when it can succeed), never a spin loop. Locks are not recursive and
 * order earlier and later accesses like the atomics do.
 */
export interface LockableMemory extends Memory {
  /** Takes the lock shared with other readers; waits while it is held exclusively. */
  readLock(address: number): void;
  /** Takes the lock shared if that is possible at once; returns whether it did. */
  readTrylock(address: number): boolean;
  readUnlock(address: number): void;
  /** Takes the lock exclusively; waits while anybody holds it. */
  writeLock(address: number): void;
  writeUnlock(address: number): void;
}
