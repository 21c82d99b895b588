/**
 * The hypervisor's memory on a thread that is recorded: notes what it does in a guest's memory, and of what it knows itself the
 * changes of some parts. All of the latter would fill a ring with locks and accounts of time.
 */
import type { LockableMemory } from '../../../memory/memory';
import { Op } from '../../inline/ops';
import type { AccessRecorder } from './access-log';

/** What of a memory is noted. */
export interface Noted {
  /** See regionOf. */
  readonly region: number;
  /** Reads as well as changes. */
  readonly reads: boolean;
  /** Whether an address is of interest. */
  readonly watches: (address: number) => boolean;
}

export class RecordingMemory implements LockableMemory {
  readonly byteLength: number;

  constructor(
    private readonly memory: LockableMemory,
    private readonly recorder: AccessRecorder,
    private readonly noted: Noted,
  ) {
    this.byteLength = memory.byteLength;
  }

  contains(address: number, length: number): boolean {
    return this.memory.contains(address, length);
  }

  read8(address: number): number {
    this.begin(address);
    const value = this.memory.read8(address);
    this.looked(Op.READ8, address, value);
    return value;
  }

  read32(address: number): number {
    this.begin(address);
    const value = this.memory.read32(address);
    this.looked(Op.READ32, address, value);
    return value;
  }

  load8(address: number): number {
    this.begin(address);
    const value = this.memory.load8(address);
    this.looked(Op.LOAD8, address, value);
    return value;
  }

  load32(address: number): number {
    this.begin(address);
    const value = this.memory.load32(address);
    this.looked(Op.LOAD32, address, value);
    return value;
  }

  write8(address: number, value: number): void {
    this.begin(address);
    this.memory.write8(address, value);
    this.changed(Op.WRITE8, address, value, 0);
  }

  write32(address: number, value: number): void {
    this.begin(address);
    this.memory.write32(address, value);
    this.changed(Op.WRITE32, address, value, 0);
  }

  store8(address: number, value: number): void {
    this.begin(address);
    this.memory.store8(address, value);
    this.changed(Op.STORE8, address, value, 0);
  }

  store32(address: number, value: number): void {
    this.begin(address);
    this.memory.store32(address, value);
    this.changed(Op.STORE32, address, value, 0);
  }

  add8(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.add8(address, value);
    this.changed(Op.ADD8, address, value, old);
    return old;
  }

  and8(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.and8(address, value);
    this.changed(Op.AND8, address, value, old);
    return old;
  }

  or8(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.or8(address, value);
    this.changed(Op.OR8, address, value, old);
    return old;
  }

  xor8(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.xor8(address, value);
    this.changed(Op.XOR8, address, value, old);
    return old;
  }

  exchange8(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.exchange8(address, value);
    this.changed(Op.EXCHANGE8, address, value, old);
    return old;
  }

  compareExchange8(address: number, expected: number, replacement: number): number {
    this.begin(address);
    const old = this.memory.compareExchange8(address, expected, replacement);
    this.changed(Op.CAS8, address, replacement, old, expected);
    return old;
  }

  add32(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.add32(address, value);
    this.changed(Op.ADD32, address, value, old);
    return old;
  }

  and32(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.and32(address, value);
    this.changed(Op.AND32, address, value, old);
    return old;
  }

  or32(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.or32(address, value);
    this.changed(Op.OR32, address, value, old);
    return old;
  }

  xor32(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.xor32(address, value);
    this.changed(Op.XOR32, address, value, old);
    return old;
  }

  exchange32(address: number, value: number): number {
    this.begin(address);
    const old = this.memory.exchange32(address, value);
    this.changed(Op.EXCHANGE32, address, value, old);
    return old;
  }

  compareExchange32(address: number, expected: number, replacement: number): number {
    this.begin(address);
    const old = this.memory.compareExchange32(address, expected, replacement);
    this.changed(Op.CAS32, address, replacement, old, expected);
    return old;
  }

  fence(): void {
    this.memory.fence();
  }

  wait32(address: number, expected: number, timeoutNs?: number): 'ok' | 'not-equal' | 'timed-out' {
    return this.memory.wait32(address, expected, timeoutNs);
  }

  notify32(address: number, count?: number): number {
    return this.memory.notify32(address, count);
  }

  readLock(address: number): void {
    this.memory.readLock(address);
  }

  readTrylock(address: number): boolean {
    return this.memory.readTrylock(address);
  }

  readUnlock(address: number): void {
    this.memory.readUnlock(address);
  }

  writeLock(address: number): void {
    this.memory.writeLock(address);
  }

  writeUnlock(address: number): void {
    this.memory.writeUnlock(address);
  }

  private begin(address: number): void {
    if (this.noted.watches(address)) this.recorder.begin();
  }

  private looked(kind: number, address: number, value: number): void {
    const { region, reads, watches } = this.noted;
    if (reads && watches(address)) this.recorder.note(kind, address, 0, 0, value, region);
  }

  private changed(kind: number, address: number, operand: number, old: number, expected = 0): void {
    const { region, watches } = this.noted;
    if (watches(address)) this.recorder.note(kind, address, operand, expected, old, region);
  }
}
