/** The hypervisor's memory under chaos: a delay before each access, inside critical sections too. */
import { AtomicsMemory } from '../../../memory/atomics-memory';
import type { LockHolder } from '../../../memory/lock-words';
import type { Chaos } from './chaos';

export class ChaoticMemory extends AtomicsMemory {
  constructor(
    buffer: SharedArrayBuffer,
    private readonly chaos: Chaos,
    holder: LockHolder,
    number: number,
  ) {
    super(buffer, holder, number);
  }

  override read8(address: number): number {
    this.chaos.delay();
    return super.read8(address);
  }

  override write8(address: number, value: number): void {
    this.chaos.delay();
    super.write8(address, value);
  }

  override read32(address: number): number {
    this.chaos.delay();
    return super.read32(address);
  }

  override write32(address: number, value: number): void {
    this.chaos.delay();
    super.write32(address, value);
  }

  override load8(address: number): number {
    this.chaos.delay();
    return super.load8(address);
  }

  override store8(address: number, value: number): void {
    this.chaos.delay();
    super.store8(address, value);
  }

  override load32(address: number): number {
    this.chaos.delay();
    return super.load32(address);
  }

  override store32(address: number, value: number): void {
    this.chaos.delay();
    super.store32(address, value);
  }

  override or32(address: number, value: number): number {
    this.chaos.delay();
    return super.or32(address, value);
  }

  override and32(address: number, value: number): number {
    this.chaos.delay();
    return super.and32(address, value);
  }

  override exchange32(address: number, value: number): number {
    this.chaos.delay();
    return super.exchange32(address, value);
  }

  override compareExchange32(address: number, expected: number, replacement: number): number {
    this.chaos.delay();
    return super.compareExchange32(address, expected, replacement);
  }
}
