/**
 * The free-running Memory with somebody else at it: a test's guest acts in between the hypervisor's accesses. Counts them.
 */
import { AtomicsMemory } from '../../../lib/memory/atomics-memory';

export class RacingMemory extends AtomicsMemory {
  /** Accesses so far. */
  accesses = 0;
  /** Acts before each access; its own accesses go unnoticed. `bytes` is what a plain read reads; 0 for other accesses. */
  rival: ((memory: AtomicsMemory, address: number, bytes: number) => void) | undefined;
  private readonly plain = new AtomicsMemory(this.buffer);

  override read8(address: number): number {
    this.meet(address, 1);
    return super.read8(address);
  }

  override read32(address: number): number {
    this.meet(address, 4);
    return super.read32(address);
  }

  override write8(address: number, value: number): void {
    this.meet(address);
    super.write8(address, value);
  }

  override write32(address: number, value: number): void {
    this.meet(address);
    super.write32(address, value);
  }

  override load32(address: number): number {
    this.meet(address);
    return super.load32(address);
  }

  override store32(address: number, value: number): void {
    this.meet(address);
    super.store32(address, value);
  }

  override and32(address: number, value: number): number {
    this.meet(address);
    return super.and32(address, value);
  }

  override or32(address: number, value: number): number {
    this.meet(address);
    return super.or32(address, value);
  }

  override compareExchange32(address: number, expected: number, replacement: number): number {
    this.meet(address);
    return super.compareExchange32(address, expected, replacement);
  }

  private meet(address: number, bytes = 0): void {
    this.accesses++;
    this.rival?.(this.plain, address, bytes);
  }
}
