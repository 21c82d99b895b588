/**
 * The free-running Memory: one call to Atomics or one typed-array access per method, nothing else. No
 * allocation and no branching on mode, so that call sites in a worker stay monomorphic and inline.
 *
 * Locks: bit 31 set = held exclusively, bit 30 = a writer waits (new readers stand back), bits 29..0 = number of
 * readers. A reader announces itself with one add and takes it back when it finds a writer, so the
 * uncontended shared lock costs one atomic to take and one to release.
 */
import type { LockableMemory } from './memory';

const WRITER = 1 << 31;
const WRITER_WAITS = 1 << 30;
const WRITER_BITS = WRITER | WRITER_WAITS;
/** Spins on a held lock before sleeping: critical sections are some hundred nanoseconds long. */
const LOCK_SPINS = 200;
/** Sleep between later attempts (ms). Releasing a lock does not notify: it must cost one atomic only. */
const LOCK_SLEEP_MS = 0.05;

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
    return address >= 0 && length >= 0 && address + length <= this.byteLength && Number.isInteger(address);
  }

  read8(address: number): number {
    return this.u8[address] as number;
  }

  read32(address: number): number {
    return this.i32[address >> 2] as number;
  }

  write8(address: number, value: number): void {
    this.u8[address] = value;
  }

  write32(address: number, value: number): void {
    this.i32[address >> 2] = value;
  }

  load8(address: number): number {
    return Atomics.load(this.u8, address);
  }

  store8(address: number, value: number): void {
    Atomics.store(this.u8, address, value);
  }

  add8(address: number, value: number): number {
    return Atomics.add(this.u8, address, value);
  }

  and8(address: number, value: number): number {
    return Atomics.and(this.u8, address, value);
  }

  or8(address: number, value: number): number {
    return Atomics.or(this.u8, address, value);
  }

  xor8(address: number, value: number): number {
    return Atomics.xor(this.u8, address, value);
  }

  exchange8(address: number, value: number): number {
    return Atomics.exchange(this.u8, address, value);
  }

  compareExchange8(address: number, expected: number, replacement: number): number {
    return Atomics.compareExchange(this.u8, address, expected, replacement);
  }

  load32(address: number): number {
    return Atomics.load(this.i32, address >> 2);
  }

  store32(address: number, value: number): void {
    Atomics.store(this.i32, address >> 2, value);
  }

  add32(address: number, value: number): number {
    return Atomics.add(this.i32, address >> 2, value);
  }

  and32(address: number, value: number): number {
    return Atomics.and(this.i32, address >> 2, value);
  }

  or32(address: number, value: number): number {
    return Atomics.or(this.i32, address >> 2, value);
  }

  xor32(address: number, value: number): number {
    return Atomics.xor(this.i32, address >> 2, value);
  }

  exchange32(address: number, value: number): number {
    return Atomics.exchange(this.i32, address >> 2, value);
  }

  compareExchange32(address: number, expected: number, replacement: number): number {
    return Atomics.compareExchange(this.i32, address >> 2, expected, replacement);
  }

  fence(): void {
    Atomics.exchange(this.fenceWord, 0, 0);
  }

  wait32(address: number, expected: number, timeoutNs = Number.POSITIVE_INFINITY): 'ok' | 'not-equal' | 'timed-out' {
    return Atomics.wait(this.i32, address >> 2, expected, timeoutNs / 1e6);
  }

  notify32(address: number, count = Number.POSITIVE_INFINITY): number {
    return Atomics.notify(this.i32, address >> 2, count);
  }

  readLock(address: number): void {
    if ((Atomics.add(this.i32, address >> 2, 1) & WRITER_BITS) !== 0) this.readLockContended(address);
  }

  readTrylock(address: number): boolean {
    if ((Atomics.add(this.i32, address >> 2, 1) & WRITER) === 0) return true;
    Atomics.sub(this.i32, address >> 2, 1);
    return false;
  }

  readUnlock(address: number): void {
    Atomics.sub(this.i32, address >> 2, 1);
  }

  writeLock(address: number): void {
    if (Atomics.compareExchange(this.i32, address >> 2, 0, WRITER) !== 0) this.writeLockContended(address);
  }

  writeUnlock(address: number): void {
    // Only the own bit: a reader may just have announced itself and be about to take that back.
    Atomics.and(this.i32, address >> 2, ~WRITER);
  }

  private readLockContended(address: number): void {
    const index = address >> 2;
    Atomics.sub(this.i32, index, 1);
    for (let spins = 0; ; spins++) {
      const seen = Atomics.load(this.i32, index);
      if ((seen & WRITER_BITS) === 0 && Atomics.compareExchange(this.i32, index, seen, seen + 1) === seen) return;
      if (spins >= LOCK_SPINS) Atomics.wait(this.i32, index, seen, LOCK_SLEEP_MS);
    }
  }

  private writeLockContended(address: number): void {
    const index = address >> 2;
    for (let spins = 0; ; spins++) {
      const seen = Atomics.load(this.i32, index);
      if ((seen & ~WRITER_WAITS) === 0) {
        // Taking the lock clears WRITER_WAITS; another waiting writer sets it again on its next round.
        if (Atomics.compareExchange(this.i32, index, seen, WRITER) === seen) return;
      } else if ((seen & WRITER_WAITS) === 0) {
        Atomics.or(this.i32, index, WRITER_WAITS);
      }
      if (spins >= LOCK_SPINS) Atomics.wait(this.i32, index, seen, LOCK_SLEEP_MS);
    }
  }
}
