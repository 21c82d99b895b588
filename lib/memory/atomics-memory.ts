/**
 * The free-running Memory: one call to Atomics or one typed-array access per method, nothing else. No
 * allocation and no branching on mode, so that call sites in a worker stay monomorphic and inline. A bad address
 * throws, as {@link Memory} promises: typed arrays would ignore it, and Atomics take a NaN for 0.
 *
 * Locks: bit 31 set = held exclusively, bit 30 = a writer waits (new readers stand back), bits 29..0 = number of
 * readers. A reader announces itself with one add and takes it back when it finds a writer, so the
 * uncontended shared lock costs one atomic to take and one to release.
 */
import type { LockableMemory } from './memory';

/**
 * True where the processor keeps plain accesses in order but for a store that a later load overtakes, and an atomic
 * read-modify-write is a full barrier (x86). Elsewhere plain accesses are made atomic ones, so that code which is right under
 * x86-TSO, the model that explorations check, is right on the host too.
 */
export const HOST_IS_TSO = process.arch === 'x64' || process.arch === 'ia32';

const WRITER = 1 << 31;
/** In a lock's word: a writer waits. */
export const WRITER_WAITS = 1 << 30;
const WRITER_BITS = WRITER | WRITER_WAITS;
const READERS = WRITER_WAITS - 1;
/** The parts of a lock's word as masks. For onlookers: the code here uses constants of this module. */
export const LOCK_MASKS = { WRITER, WRITER_WAITS, READERS } as const;
/** Spins on a held lock before sleeping: critical sections are some hundred nanoseconds long. */
const LOCK_SPINS = 200;
/**
 * First and longest sleep between later attempts (ms). Releasing a lock does not notify, for it must cost one atomic
 * only; so sleepers look again by themselves, and none can miss its wake-up.
 */
const LOCK_SLEEP_MS = 0.05;
const LOCK_SLEEP_MAX_MS = 1;

function badAddress(address: number): RangeError {
  return new RangeError(`address ${address} is outside the region or not aligned`);
}

function notHeld(address: number): Error {
  return new Error(`the lock at ${address} was not held`);
}

/** The index of a 32-bit word; its upper bound is checked by the access. */
function wordIndex(address: number): number {
  const index = address >> 2;
  // False for fractions, NaN and what does not fit as well.
  if (index << 2 !== address) throw badAddress(address);
  return index;
}

/** A byte's index; its upper bound is checked by the access. */
function byteIndex(address: number): number {
  if ((address | 0) !== address) throw badAddress(address);
  return address;
}

export class AtomicsMemory implements LockableMemory {
  readonly byteLength: number;
  protected readonly i32: Int32Array;
  protected readonly u8: Uint8Array;
  /** A word of this thread alone: the operand of {@link fence}. */
  private readonly fenceWord = new Int32Array(new SharedArrayBuffer(4));

  /** @param buffer - shared; guest memory may also be that of a shared WebAssembly.Memory */
  constructor(readonly buffer: SharedArrayBuffer) {
    this.byteLength = buffer.byteLength;
    this.i32 = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
  }

  contains(address: number, length: number): boolean {
    return Number.isInteger(address) && address >= 0 && length >= 0 && address + length <= this.byteLength;
  }

  read8(address: number): number {
    if (!HOST_IS_TSO) return this.load8(address);
    const value = this.u8[address];
    if (value === undefined) throw badAddress(address);
    return value;
  }

  read32(address: number): number {
    if (!HOST_IS_TSO) return this.load32(address);
    const value = this.i32[wordIndex(address)];
    if (value === undefined) throw badAddress(address);
    return value;
  }

  write8(address: number, value: number): void {
    if (byteIndex(address) >>> 0 >= this.byteLength) throw badAddress(address);
    if (HOST_IS_TSO) this.u8[address] = value;
    else Atomics.store(this.u8, address, value);
  }

  write32(address: number, value: number): void {
    const index = wordIndex(address);
    if (address >>> 0 >= this.byteLength) throw badAddress(address);
    if (HOST_IS_TSO) this.i32[index] = value;
    else Atomics.store(this.i32, index, value);
  }

  load8(address: number): number {
    return Atomics.load(this.u8, byteIndex(address));
  }

  store8(address: number, value: number): void {
    Atomics.store(this.u8, byteIndex(address), value);
  }

  add8(address: number, value: number): number {
    return Atomics.add(this.u8, byteIndex(address), value);
  }

  and8(address: number, value: number): number {
    return Atomics.and(this.u8, byteIndex(address), value);
  }

  or8(address: number, value: number): number {
    return Atomics.or(this.u8, byteIndex(address), value);
  }

  xor8(address: number, value: number): number {
    return Atomics.xor(this.u8, byteIndex(address), value);
  }

  exchange8(address: number, value: number): number {
    return Atomics.exchange(this.u8, byteIndex(address), value);
  }

  compareExchange8(address: number, expected: number, replacement: number): number {
    return Atomics.compareExchange(this.u8, byteIndex(address), expected, replacement);
  }

  load32(address: number): number {
    return Atomics.load(this.i32, wordIndex(address));
  }

  store32(address: number, value: number): void {
    Atomics.store(this.i32, wordIndex(address), value);
  }

  add32(address: number, value: number): number {
    return Atomics.add(this.i32, wordIndex(address), value);
  }

  and32(address: number, value: number): number {
    return Atomics.and(this.i32, wordIndex(address), value);
  }

  or32(address: number, value: number): number {
    return Atomics.or(this.i32, wordIndex(address), value);
  }

  xor32(address: number, value: number): number {
    return Atomics.xor(this.i32, wordIndex(address), value);
  }

  exchange32(address: number, value: number): number {
    return Atomics.exchange(this.i32, wordIndex(address), value);
  }

  compareExchange32(address: number, expected: number, replacement: number): number {
    return Atomics.compareExchange(this.i32, wordIndex(address), expected, replacement);
  }

  fence(): void {
    Atomics.exchange(this.fenceWord, 0, 0);
  }

  wait32(address: number, expected: number, timeoutNs = Number.POSITIVE_INFINITY): 'ok' | 'not-equal' | 'timed-out' {
    // A NaN would mean for ever to Atomics.wait.
    return Atomics.wait(this.i32, wordIndex(address), expected, timeoutNs >= 0 ? timeoutNs / 1e6 : 0);
  }

  notify32(address: number, count = Number.POSITIVE_INFINITY): number {
    return Atomics.notify(this.i32, wordIndex(address), count);
  }

  readLock(address: number): void {
    if ((Atomics.add(this.i32, wordIndex(address), 1) & WRITER_BITS) !== 0) this.readLockContended(address);
  }

  readTrylock(address: number): boolean {
    const index = wordIndex(address);
    if ((Atomics.add(this.i32, index, 1) & WRITER) === 0) return true;
    Atomics.sub(this.i32, index, 1);
    return false;
  }

  readUnlock(address: number): void {
    if ((Atomics.sub(this.i32, wordIndex(address), 1) & READERS) === 0) throw notHeld(address);
  }

  writeLock(address: number): void {
    if (Atomics.compareExchange(this.i32, wordIndex(address), 0, WRITER) !== 0) this.writeLockContended(address);
  }

  writeUnlock(address: number): void {
    // Only the own bit: a reader may just have announced itself and be about to take that back.
    if ((Atomics.and(this.i32, wordIndex(address), ~WRITER) & WRITER) === 0) throw notHeld(address);
  }

  protected readLockContended(address: number): void {
    const index = wordIndex(address);
    // The announcement is taken back first: a writer that waits for the readers to leave would wait for this one.
    Atomics.sub(this.i32, index, 1);
    for (let attempt = 0; ; attempt++) {
      const seen = Atomics.load(this.i32, index);
      if ((seen & WRITER_BITS) === 0) {
        if (Atomics.compareExchange(this.i32, index, seen, seen + 1) === seen) return;
      } else {
        this.backOff(index, seen, attempt);
      }
    }
  }

  private writeLockContended(address: number): void {
    const index = wordIndex(address);
    for (let attempt = 0; ; attempt++) {
      const seen = Atomics.load(this.i32, index);
      if ((seen & ~WRITER_WAITS) === 0) {
        // Taking the lock clears WRITER_WAITS; another waiting writer sets it again on its next round.
        if (Atomics.compareExchange(this.i32, index, seen, WRITER) === seen) return;
      } else {
        // Whoever sets the bit stays until it has had the lock, so the bit never outlives the waiting.
        if ((seen & WRITER_WAITS) === 0) Atomics.or(this.i32, index, WRITER_WAITS);
        this.backOff(index, seen | WRITER_WAITS, attempt);
      }
    }
  }

  /** Nothing at first, then sleeps that grow; ends early when the word is not as seen any more. */
  protected backOff(index: number, seen: number, attempt: number): void {
    if (attempt < LOCK_SPINS) return;
    const sleepMs = Math.min(LOCK_SLEEP_MS * (attempt - LOCK_SPINS + 1), LOCK_SLEEP_MAX_MS);
    Atomics.wait(this.i32, index, seen, sleepMs);
  }
}
