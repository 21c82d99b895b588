/** A guest's memory on a thread that is recorded: {@link WindowedMemory} that notes each access with its result. */
import { WINDOW_ADDRESS } from '../../../memory/grant-window';
import { Op } from '../../inline/ops';
import type { MappedFrames } from '../mapped-frames';
import { WindowedMemory } from '../windowed-memory';
import { type AccessRecorder, LogKind, regionOf } from './access-log';

export class LoggedMemory extends WindowedMemory {
  /** The first three as of {@link WindowedMemory}. */
  constructor(
    buffer: SharedArrayBuffer,
    state: SharedArrayBuffer,
    infoPointerAddress: number,
    protected readonly recorder: AccessRecorder,
    mapped: MappedFrames,
  ) {
    super(buffer, state, infoPointerAddress, mapped);
  }

  /** An access through the window is one to the memory behind it. */
  private noteAccess(kind: number, address: number, operand: number, expected: number, result: number): void {
    if (address < WINDOW_ADDRESS) this.recorder.note(kind, address, operand, expected, result);
    else this.recorder.note(kind, this.$there, operand, expected, result, regionOf(this.$domainIndex, false));
  }

  /** An access takes its place in the order when what a window lets in is over. */
  protected override window(): void {
    super.window();
    this.recorder.begin();
  }

  override read8(address: number): number {
    const value = super.read8(address);
    this.noteAccess(Op.READ8, address, 0, 0, value);
    return value;
  }

  override read32(address: number): number {
    const value = super.read32(address);
    this.noteAccess(Op.READ32, address, 0, 0, value);
    return value;
  }

  override load8(address: number): number {
    const value = super.load8(address);
    this.noteAccess(Op.LOAD8, address, 0, 0, value);
    return value;
  }

  override load32(address: number): number {
    const value = super.load32(address);
    this.noteAccess(Op.LOAD32, address, 0, 0, value);
    return value;
  }

  override write8(address: number, value: number): void {
    super.write8(address, value);
    this.noteAccess(Op.WRITE8, address, value, 0, 0);
  }

  override write32(address: number, value: number): void {
    super.write32(address, value);
    this.noteAccess(Op.WRITE32, address, value, 0, 0);
  }

  override store8(address: number, value: number): void {
    super.store8(address, value);
    this.noteAccess(Op.STORE8, address, value, 0, 0);
  }

  override store32(address: number, value: number): void {
    super.store32(address, value);
    this.noteAccess(Op.STORE32, address, value, 0, 0);
  }

  override add8(address: number, value: number): number {
    const old = super.add8(address, value);
    this.noteAccess(Op.ADD8, address, value, 0, old);
    return old;
  }

  override and8(address: number, value: number): number {
    const old = super.and8(address, value);
    this.noteAccess(Op.AND8, address, value, 0, old);
    return old;
  }

  override or8(address: number, value: number): number {
    const old = super.or8(address, value);
    this.noteAccess(Op.OR8, address, value, 0, old);
    return old;
  }

  override xor8(address: number, value: number): number {
    const old = super.xor8(address, value);
    this.noteAccess(Op.XOR8, address, value, 0, old);
    return old;
  }

  override exchange8(address: number, value: number): number {
    const old = super.exchange8(address, value);
    this.noteAccess(Op.EXCHANGE8, address, value, 0, old);
    return old;
  }

  override compareExchange8(address: number, expected: number, replacement: number): number {
    const old = super.compareExchange8(address, expected, replacement);
    this.noteAccess(Op.CAS8, address, replacement, expected, old);
    return old;
  }

  override add32(address: number, value: number): number {
    const old = super.add32(address, value);
    this.noteAccess(Op.ADD32, address, value, 0, old);
    return old;
  }

  override and32(address: number, value: number): number {
    const old = super.and32(address, value);
    this.noteAccess(Op.AND32, address, value, 0, old);
    return old;
  }

  override or32(address: number, value: number): number {
    const old = super.or32(address, value);
    this.noteAccess(Op.OR32, address, value, 0, old);
    return old;
  }

  override xor32(address: number, value: number): number {
    const old = super.xor32(address, value);
    this.noteAccess(Op.XOR32, address, value, 0, old);
    return old;
  }

  override exchange32(address: number, value: number): number {
    const old = super.exchange32(address, value);
    this.noteAccess(Op.EXCHANGE32, address, value, 0, old);
    return old;
  }

  override compareExchange32(address: number, expected: number, replacement: number): number {
    const old = super.compareExchange32(address, expected, replacement);
    this.noteAccess(Op.CAS32, address, replacement, expected, old);
    return old;
  }

  override fence(): void {
    super.fence();
    this.recorder.note(Op.FENCE, 0, 0, 0, 0);
  }

  override wait32(address: number, expected: number, timeoutNs?: number): 'ok' | 'not-equal' | 'timed-out' {
    const { recorder } = this;
    this.requireOwn(address);
    this.window();
    if (Atomics.load(this.i32, address >> 2) !== (expected | 0)) {
      recorder.note(Op.WAIT, address, expected, 0, 1);
      return 'not-equal';
    }
    recorder.note(Op.WAIT, address, expected, 0, 0);
    recorder.mark(LogKind.SLEEP);
    const ended = super.wait32(address, expected, timeoutNs);
    recorder.mark(LogKind.WAKE);
    recorder.note(Op.WAIT_END, address, 0, 0, ended === 'timed-out' ? 1 : 0);
    return ended;
  }

  override notify32(address: number, count?: number): number {
    const woken = super.notify32(address, count);
    this.recorder.note(Op.NOTIFY, address, Math.min(count ?? 0x7fffffff, 0x7fffffff), 0, woken);
    return woken;
  }
}
