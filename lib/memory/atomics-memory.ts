/**
 * The free-running Memory: one call to Atomics or one typed-array access per method, nothing else. No
 * allocation and no branching on mode, so that call sites in a worker stay monomorphic and inline. A bad address
 * throws, as {@link Memory} promises: typed arrays would ignore it, and Atomics take a NaN for 0.
 *
 * Locks: see `lock-words.ts`. The uncontended shared lock costs one atomic to take and one to release, as the exclusive one.
 */
import {
  LOCKS_PER_BUFFER,
  type LockHolder,
  lonelyHolder,
  MENDING,
  OF_OTHERS as OF_OTHERS_BITS,
  STANDS_OFF,
  WRITER,
  WRITER_WAITS,
} from './lock-words';
import type { LockableMemory } from './memory';

/**
 * True where the processor keeps plain accesses in order but for a store that a later load overtakes, and an atomic
 * read-modify-write is a full barrier (x86). Elsewhere plain accesses are made atomic ones, so that code which is right under
 * x86-TSO, the model that explorations check, is right on the host too.
 */
export const HOST_IS_TSO = process.arch === 'x64' || process.arch === 'ia32';

// A copy in this module: a constant to the compiler, where an import is a property that is looked up per event.
const OF_OTHERS = OF_OTHERS_BITS;
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

/** False for fractions, NaN and what is no positive signed number. The upper bound is checked by the access. */
function isWord(address: number): boolean {
  return (address >> 2) << 2 === address;
}

function isByte(address: number): boolean {
  return (address | 0) === address;
}

/** The index of a 32-bit word; its upper bound is checked by the access. */
function wordIndex(address: number): number {
  if (!isWord(address)) throw badAddress(address);
  return address >> 2;
}

export class AtomicsMemory implements LockableMemory {
  readonly byteLength: number;
  protected readonly i32: Int32Array;
  protected readonly u8: Uint8Array;
  /** Where {@link beyond} has found the address. */
  protected $there = 0;
  /** A word of this thread alone: the operand of {@link fence}. */
  private readonly fenceWord = new Int32Array(new SharedArrayBuffer(4));

  /** A lock's word while this thread holds it for writing. */
  private readonly ownWord: number;
  /** What is added to a word's index to note the lock. */
  protected readonly noteBase: number;

  /**
   * @param buffer - shared; guest memory may also be that of a shared WebAssembly.Memory
   * @param holder - who takes the locks in it
   * @param number - of the buffer among those whose locks the holder takes
   */
  constructor(
    readonly buffer: SharedArrayBuffer,
    protected readonly holder: LockHolder = lonelyHolder(),
    number = 0,
  ) {
    this.byteLength = buffer.byteLength;
    this.i32 = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.ownWord = WRITER | holder.id;
    this.noteBase = number * LOCKS_PER_BUFFER + 1;
  }

  contains(address: number, length: number): boolean {
    return Number.isInteger(address) && address >= 0 && length >= 0 && address + length <= this.byteLength;
  }

  /**
   * An access to an address that no memory of this size can have: in another memory, at `$there`, or nowhere.
   * @param width - bytes
   */
  protected beyond(address: number, _width: number, _writes: boolean): AtomicsMemory {
    throw badAddress(address);
  }

  read8(address: number): number {
    if (!HOST_IS_TSO) return this.load8(address);
    const value = this.u8[address];
    if (value === undefined) return this.beyond(address, 1, false).read8(this.$there);
    return value;
  }

  read32(address: number): number {
    if (!HOST_IS_TSO) return this.load32(address);
    if (!isWord(address)) return this.beyond(address, 4, false).read32(this.$there);
    const value = this.i32[address >> 2];
    if (value === undefined) throw badAddress(address);
    return value;
  }

  write8(address: number, value: number): void {
    if (!isByte(address)) this.beyond(address, 1, true).write8(this.$there, value);
    else if (address >>> 0 >= this.byteLength) throw badAddress(address);
    else if (HOST_IS_TSO) this.u8[address] = value;
    else Atomics.store(this.u8, address, value);
  }

  write32(address: number, value: number): void {
    if (!isWord(address)) this.beyond(address, 4, true).write32(this.$there, value);
    else if (address >>> 0 >= this.byteLength) throw badAddress(address);
    else if (HOST_IS_TSO) this.i32[address >> 2] = value;
    else Atomics.store(this.i32, address >> 2, value);
  }

  load8(address: number): number {
    if (!isByte(address)) return this.beyond(address, 1, false).load8(this.$there);
    return Atomics.load(this.u8, address);
  }

  store8(address: number, value: number): void {
    if (!isByte(address)) this.beyond(address, 1, true).store8(this.$there, value);
    else Atomics.store(this.u8, address, value);
  }

  add8(address: number, value: number): number {
    if (!isByte(address)) return this.beyond(address, 1, true).add8(this.$there, value);
    return Atomics.add(this.u8, address, value);
  }

  and8(address: number, value: number): number {
    if (!isByte(address)) return this.beyond(address, 1, true).and8(this.$there, value);
    return Atomics.and(this.u8, address, value);
  }

  or8(address: number, value: number): number {
    if (!isByte(address)) return this.beyond(address, 1, true).or8(this.$there, value);
    return Atomics.or(this.u8, address, value);
  }

  xor8(address: number, value: number): number {
    if (!isByte(address)) return this.beyond(address, 1, true).xor8(this.$there, value);
    return Atomics.xor(this.u8, address, value);
  }

  exchange8(address: number, value: number): number {
    if (!isByte(address)) return this.beyond(address, 1, true).exchange8(this.$there, value);
    return Atomics.exchange(this.u8, address, value);
  }

  compareExchange8(address: number, expected: number, replacement: number): number {
    if (!isByte(address)) return this.beyond(address, 1, true).compareExchange8(this.$there, expected, replacement);
    return Atomics.compareExchange(this.u8, address, expected, replacement);
  }

  load32(address: number): number {
    if (!isWord(address)) return this.beyond(address, 4, false).load32(this.$there);
    return Atomics.load(this.i32, address >> 2);
  }

  store32(address: number, value: number): void {
    if (!isWord(address)) this.beyond(address, 4, true).store32(this.$there, value);
    else Atomics.store(this.i32, address >> 2, value);
  }

  add32(address: number, value: number): number {
    if (!isWord(address)) return this.beyond(address, 4, true).add32(this.$there, value);
    return Atomics.add(this.i32, address >> 2, value);
  }

  and32(address: number, value: number): number {
    if (!isWord(address)) return this.beyond(address, 4, true).and32(this.$there, value);
    return Atomics.and(this.i32, address >> 2, value);
  }

  or32(address: number, value: number): number {
    if (!isWord(address)) return this.beyond(address, 4, true).or32(this.$there, value);
    return Atomics.or(this.i32, address >> 2, value);
  }

  xor32(address: number, value: number): number {
    if (!isWord(address)) return this.beyond(address, 4, true).xor32(this.$there, value);
    return Atomics.xor(this.i32, address >> 2, value);
  }

  exchange32(address: number, value: number): number {
    if (!isWord(address)) return this.beyond(address, 4, true).exchange32(this.$there, value);
    return Atomics.exchange(this.i32, address >> 2, value);
  }

  compareExchange32(address: number, expected: number, replacement: number): number {
    if (!isWord(address)) return this.beyond(address, 4, true).compareExchange32(this.$there, expected, replacement);
    return Atomics.compareExchange(this.i32, address >> 2, expected, replacement);
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

  // Locks, in terms of the accesses above: so a test can explore this very code under a deterministic engine.

  readLock(address: number): void {
    this.note(address);
    if (this.compareExchange32(address, 0, 1) !== 0) this.readLockContended(address, STANDS_OFF);
  }

  readTrylock(address: number): boolean {
    this.note(address);
    // A lock that is being mended is waited for: that it is not to be had would mean that somebody changes what it guards.
    return this.readLockContended(address, MENDING, WRITER);
  }

  readUnlock(address: number): void {
    if (!this.hasNoted(address)) throw notHeld(address);
    this.add32(address, -1);
    this.crossOut();
  }

  writeLock(address: number): void {
    if (this.compareExchange32(address, 0, this.ownWord) !== 0) this.writeLockContended(address);
  }

  writeUnlock(address: number): void {
    if ((this.and32(address, OF_OTHERS) & ~OF_OTHERS) !== this.ownWord) throw notHeld(address);
  }

  /** Notes that the lock is about to be held for reading: before it is, which the compare-exchange that takes it ensures. */
  protected note(address: number): void {
    const { holder } = this;
    if (HOST_IS_TSO) holder.notes[holder.$depth++] = this.noteBase + wordIndex(address);
    else Atomics.store(holder.notes, holder.$depth++, this.noteBase + wordIndex(address));
  }

  /** Whether the last note is of that lock: locks are released in the reverse order. */
  protected hasNoted(address: number): boolean {
    const { holder } = this;
    return holder.notes[holder.$depth - 1] === this.noteBase + wordIndex(address);
  }

  /** Crosses out the last note. After the release, which is atomic. */
  protected crossOut(): void {
    const { holder } = this;
    if (HOST_IS_TSO) holder.notes[--holder.$depth] = 0;
    else Atomics.store(holder.notes, --holder.$depth, 0);
  }

  /**
   * Takes a lock for reading that is noted.
   * @param waitsFor - bits of the word that have to be clear
   * @param givesUpFor - bits of the word for which it is given up, the note crossed out
   * @returns whether it was taken
   */
  protected readLockContended(address: number, waitsFor: number, givesUpFor = 0): boolean {
    for (let attempt = 0; ; attempt++) {
      const seen = this.load32(address);
      if ((seen & givesUpFor) !== 0) {
        this.crossOut();
        return false;
      }
      if ((seen & waitsFor) === 0) {
        if (this.compareExchange32(address, seen, seen + 1) === seen) return true;
      } else {
        // Not noted meanwhile: somebody may wait for the notes to go, and it will be noted again before it is taken.
        this.crossOut();
        this.backOff(address, seen, attempt);
        this.note(address);
      }
    }
  }

  private writeLockContended(address: number): void {
    for (let attempt = 0; ; attempt++) {
      const seen = this.load32(address);
      if ((seen & ~WRITER_WAITS) === 0) {
        // Taking the lock clears WRITER_WAITS; another waiting writer sets it again on its next round.
        if (this.compareExchange32(address, seen, this.ownWord) === seen) return;
      } else {
        // Whoever sets the bit stays until it has had the lock, so the bit never outlives the waiting, unless the thread is
        // ended. It may be cleared for that reason; whoever waits sets it again.
        if ((seen & WRITER_WAITS) === 0) this.or32(address, WRITER_WAITS);
        this.backOff(address, seen | WRITER_WAITS, attempt);
      }
    }
  }

  /** Nothing at first, then sleeps that grow; ends early when the word is not as seen any more. */
  protected backOff(address: number, seen: number, attempt: number): void {
    if (attempt < LOCK_SPINS) return;
    const sleepMs = Math.min(LOCK_SLEEP_MS * (attempt - LOCK_SPINS + 1), LOCK_SLEEP_MAX_MS);
    Atomics.wait(this.i32, wordIndex(address), seen, sleepMs);
  }
}
