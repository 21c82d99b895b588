/**
 * The free-running Memory of the hypervisor: AtomicsMemory without the checks of addresses on the accesses that every event
 * makes. They cost as much as half an atomic operation per event, and the hypervisor computes its addresses from tables or
 * has checked them with {@link Memory.contains} before.
 *
 * An `or32` that would change nothing is a read. The hypervisor sets bits only behind a read-modify-write of the same
 * thread (the lock of a channel, the bit set before), which orders that read as it would have ordered the operation.
 *
 * An atomic load is a plain read: on x86 they are the same instruction, and every atomic store is an exchange. The engines
 * call Atomics.load as a function, which costs as much as a locked operation.
 *
 * All of it rests on the order that x86 keeps; on other hosts {@link openLeanMemory} gives an AtomicsMemory.
 *
 * A bad address is not noticed here: it reads as undefined, and a store to it is lost. Tests run the same code on
 * AtomicsMemory, which throws. Not for guests.
 */
import { AtomicsMemory, HOST_IS_TSO } from './atomics-memory';
import { type LockHolder, STANDS_OFF as STANDS_OFF_BITS } from './lock-words';
import type { LockableMemory } from './memory';

// A copy in this module: a constant to the compiler, where an import is a property that is looked up per event.
const STANDS_OFF = STANDS_OFF_BITS;

class LeanMemory extends AtomicsMemory {
  override read8(address: number): number {
    return this.u8[address] as number;
  }

  override read32(address: number): number {
    return this.i32[address >> 2] as number;
  }

  override load32(address: number): number {
    return this.i32[address >> 2] as number;
  }

  override or32(address: number, value: number): number {
    const seen = this.i32[address >> 2] as number;
    return (seen & value) === value ? seen : Atomics.or(this.i32, address >> 2, value);
  }

  override and32(address: number, value: number): number {
    return Atomics.and(this.i32, address >> 2, value);
  }

  override readLock(address: number): void {
    const index = address >> 2;
    const { holder } = this;
    holder.notes[holder.$depth++] = this.noteBase + index;
    if (Atomics.compareExchange(this.i32, index, 0, 1) !== 0) this.readLockContended(address, STANDS_OFF);
  }

  override readUnlock(address: number): void {
    Atomics.sub(this.i32, address >> 2, 1);
    const { holder } = this;
    holder.notes[--holder.$depth] = 0;
  }
}

/** The hypervisor's memory on this host. */
export function openLeanMemory(buffer: SharedArrayBuffer, holder: LockHolder, number: number): LockableMemory {
  return HOST_IS_TSO ? new LeanMemory(buffer, holder, number) : new AtomicsMemory(buffer, holder, number);
}
