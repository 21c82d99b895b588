/**
 * One region of the machine (a domain's memory, its private state, the global state) as code under the inline
 * engine sees it. Every method is one step: answered from the actor's log while the actor is being re-run, handed
 * to the engine when the log has run out.
 */
import type { LockableMemory } from '../../memory/memory';
import { KIND_BITS, Op } from './ops';
import type { StepEngine } from './step-engine';

export class InlineMemory implements LockableMemory {
  /**
   * @param base - where the region begins in the engine's address space; a multiple of 4
   * @param plainMark - recorded with plain accesses: whose they are
   */
  constructor(
    private readonly engine: Pick<StepEngine, 'step'>,
    private readonly base: number,
    readonly byteLength: number,
    private readonly plainMark = 0,
  ) {}

  contains(address: number, length: number): boolean {
    return address >= 0 && length >= 0 && address + length <= this.byteLength && Number.isInteger(address);
  }

  read8(address: number): number {
    return this.engine.step(this.tag8(address, Op.READ8), 0, this.plainMark);
  }

  read32(address: number): number {
    return this.engine.step(this.tag32(address, Op.READ32), 0, this.plainMark);
  }

  write8(address: number, value: number): void {
    this.engine.step(this.tag8(address, Op.WRITE8), value & 0xff, this.plainMark);
  }

  write32(address: number, value: number): void {
    this.engine.step(this.tag32(address, Op.WRITE32), value | 0, this.plainMark);
  }

  load8(address: number): number {
    return this.engine.step(this.tag8(address, Op.LOAD8), 0, 0);
  }

  store8(address: number, value: number): void {
    this.engine.step(this.tag8(address, Op.STORE8), value & 0xff, 0);
  }

  add8(address: number, value: number): number {
    return this.engine.step(this.tag8(address, Op.ADD8), value & 0xff, 0);
  }

  and8(address: number, value: number): number {
    return this.engine.step(this.tag8(address, Op.AND8), value & 0xff, 0);
  }

  or8(address: number, value: number): number {
    return this.engine.step(this.tag8(address, Op.OR8), value & 0xff, 0);
  }

  xor8(address: number, value: number): number {
    return this.engine.step(this.tag8(address, Op.XOR8), value & 0xff, 0);
  }

  exchange8(address: number, value: number): number {
    return this.engine.step(this.tag8(address, Op.EXCHANGE8), value & 0xff, 0);
  }

  compareExchange8(address: number, expected: number, replacement: number): number {
    return this.engine.step(this.tag8(address, Op.CAS8), replacement & 0xff, expected & 0xff);
  }

  load32(address: number): number {
    return this.engine.step(this.tag32(address, Op.LOAD32), 0, 0);
  }

  store32(address: number, value: number): void {
    this.engine.step(this.tag32(address, Op.STORE32), value | 0, 0);
  }

  add32(address: number, value: number): number {
    return this.engine.step(this.tag32(address, Op.ADD32), value | 0, 0);
  }

  and32(address: number, value: number): number {
    return this.engine.step(this.tag32(address, Op.AND32), value | 0, 0);
  }

  or32(address: number, value: number): number {
    return this.engine.step(this.tag32(address, Op.OR32), value | 0, 0);
  }

  xor32(address: number, value: number): number {
    return this.engine.step(this.tag32(address, Op.XOR32), value | 0, 0);
  }

  exchange32(address: number, value: number): number {
    return this.engine.step(this.tag32(address, Op.EXCHANGE32), value | 0, 0);
  }

  compareExchange32(address: number, expected: number, replacement: number): number {
    return this.engine.step(this.tag32(address, Op.CAS32), replacement | 0, expected | 0);
  }

  fence(): void {
    this.engine.step(Op.FENCE, 0, 0);
  }

  wait32(address: number, expected: number, timeoutNs = Number.POSITIVE_INFINITY): 'ok' | 'not-equal' | 'timed-out' {
    if (this.engine.step(this.tag32(address, Op.WAIT), expected | 0, 0) !== 0) return 'not-equal';
    const timed = timeoutNs < Number.POSITIVE_INFINITY ? 1 : 0;
    return this.engine.step(this.tag32(address, Op.WAIT_END), timed, 0) === 0 ? 'ok' : 'timed-out';
  }

  notify32(address: number, count = Number.POSITIVE_INFINITY): number {
    return this.engine.step(this.tag32(address, Op.NOTIFY), Math.min(count, 0x7fffffff), 0);
  }

  readLock(address: number): void {
    this.engine.step(this.tag32(address, Op.READ_LOCK), 0, 0);
  }

  readTrylock(address: number): boolean {
    return this.engine.step(this.tag32(address, Op.READ_TRYLOCK), 0, 0) !== 0;
  }

  readUnlock(address: number): void {
    this.engine.step(this.tag32(address, Op.READ_UNLOCK), 0, 0);
  }

  writeLock(address: number): void {
    this.engine.step(this.tag32(address, Op.WRITE_LOCK), 0, 0);
  }

  writeUnlock(address: number): void {
    this.engine.step(this.tag32(address, Op.WRITE_UNLOCK), 0, 0);
  }

  /** Waits until the bits are clear in the word (or STOP is set): a descheduled vCPU. Returns the word. */
  awaitClear(address: number, bits: number): number {
    return this.engine.step(this.tag32(address, Op.AWAIT_CLEAR), bits, 0);
  }

  /** Looks at a vcpu_info: 1 when its pending byte (at the address) is set and the mask byte after it is clear. */
  window(address: number): number {
    return this.engine.step(this.tag32(address, Op.WINDOW), 0, 0);
  }

  private tag32(address: number, kind: number): number {
    if (address >>> 0 !== address || address + 4 > this.byteLength || (address & 3) !== 0) {
      return (this.beyond(address, 4, kind) << KIND_BITS) | kind;
    }
    return ((this.base + address) << KIND_BITS) | kind;
  }

  private tag8(address: number, kind: number): number {
    if (address >>> 0 !== address || address >= this.byteLength) {
      return (this.beyond(address, 1, kind) << KIND_BITS) | kind;
    }
    return ((this.base + address) << KIND_BITS) | kind;
  }

  /** An address in the engine's space for one that is not of this region. */
  protected beyond(address: number, width: number, _kind: number): number {
    throw new RangeError(
      `access to ${width} byte(s) at ${address}: the region has ${this.byteLength}, words are aligned`,
    );
  }
}
