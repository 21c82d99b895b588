/**
 * The machine's buffers under the addresses of the deterministic engines: which buffer an address of the engine's one
 * address space lies in, and where. Both engines name the same byte by the same address.
 */
import { AtomicsMemory } from '../../memory/atomics-memory';
import { LockHolder, NOTES } from '../../memory/lock-words';
import { ENGINE_BYTES } from '../inline/ops';
import type { RegionPlace } from '../inline/regions';

/** A buffer and where it begins in the address space. */
interface RegionWindow {
  readonly from: number;
  readonly to: number;
  readonly memory: AtomicsMemory;
}

export class RegionMemory {
  /** Nameless: a lock's word is the same bytes as the inline engine's, whoever holds it. */
  private readonly holder = new LockHolder(0, new Int32Array(NOTES));
  private readonly windows: readonly RegionWindow[];
  /** Scratch: where the last address lay; the next one is most likely there too. */
  private $last: RegionWindow;

  constructor(places: readonly RegionPlace[]) {
    this.windows = places.map(({ base, bytes, buffer }, number) => {
      const from = ENGINE_BYTES + base;
      return { from, to: from + bytes, memory: new AtomicsMemory(buffer, this.holder, number) };
    });
    this.$last = this.windows[0] as RegionWindow;
  }

  /** @throws RangeError for an address in none of the buffers */
  at(address: number): RegionWindow {
    const last = this.$last;
    if (address >= last.from && address < last.to) return last;
    for (const window of this.windows) {
      if (address < window.from || address >= window.to) continue;
      this.$last = window;
      return window;
    }
    throw new RangeError(`no memory at address ${address}`);
  }

  /** A new execution begins, on a machine put back to its start: whatever the last one held when it was cut off. */
  forgetLocks(): void {
    this.holder.forgetAll();
  }

  fence(): void {
    this.$last.memory.fence();
  }

  peek8(address: number): number {
    const { from, memory } = this.at(address);
    return memory.read8(address - from);
  }

  peek32(address: number): number {
    const { from, memory } = this.at(address);
    return memory.read32(address - from);
  }
}
