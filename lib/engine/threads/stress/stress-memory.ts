/**
 * A guest's memory under stress: {@link WindowedMemory} that logs each access, delays it under chaos, and makes wait32 and
 * notify32 exact.
 *
 * wait32 ends when it is notified and not before: that the word has changed meanwhile is not enough, and a guest that forgets to
 * notify sleeps for good, as under the deterministic engines. Who sleeps where is marked; whoever notifies takes the mark
 * away. The mark is set before the word is compared and looked for after it was changed, so one of the two sees
 * the other.
 */
import { Op } from '../../inline/ops';
import type { VcpuMeter } from '../control';
import { WindowedMemory } from '../windowed-memory';
import type { AccessRecorder } from './access-log';
import type { Chaos } from './chaos';
import type { StressWords } from './words';

/** Sleepers look again after this long, whether they were notified and whether an upcall waits (ms). */
const SLICE_MS = 5;

export interface StressParts {
  readonly recorder: AccessRecorder;
  readonly words: StressWords;
  /** Of the vCPU among all vCPUs. */
  readonly slot: number;
  /** Of the domain's vCPUs. */
  readonly slots: readonly number[];
  readonly meter: VcpuMeter;
  /** Delays every access. */
  readonly chaos: Chaos | undefined;
}

export class StressMemory extends WindowedMemory {
  private readonly recorder: AccessRecorder;
  private readonly stress: StressWords;
  private readonly slot: number;
  private readonly slots: readonly number[];
  private readonly chaos: Chaos | undefined;
  private readonly meter: VcpuMeter;

  /** For the first three see {@link WindowedMemory}. */
  constructor(buffer: SharedArrayBuffer, state: SharedArrayBuffer, infoPointerAddress: number, parts: StressParts) {
    super(buffer, state, infoPointerAddress);
    this.recorder = parts.recorder;
    this.stress = parts.words;
    this.slot = parts.slot;
    this.slots = parts.slots;
    this.chaos = parts.chaos;
    this.meter = parts.meter;
  }

  protected override window(): void {
    this.chaos?.delay();
    super.window();
    this.recorder.begin();
  }

  override read8(address: number): number {
    const value = super.read8(address);
    this.recorder.note(Op.READ8, address, 0, 0, value);
    return value;
  }

  override read32(address: number): number {
    const value = super.read32(address);
    this.recorder.note(Op.READ32, address, 0, 0, value);
    return value;
  }

  override load8(address: number): number {
    const value = super.load8(address);
    this.recorder.note(Op.LOAD8, address, 0, 0, value);
    return value;
  }

  override load32(address: number): number {
    const value = super.load32(address);
    this.recorder.note(Op.LOAD32, address, 0, 0, value);
    return value;
  }

  override write8(address: number, value: number): void {
    this.chaos?.linger();
    super.write8(address, value);
    this.recorder.note(Op.WRITE8, address, value, 0, 0);
  }

  override write32(address: number, value: number): void {
    this.chaos?.linger();
    super.write32(address, value);
    this.recorder.note(Op.WRITE32, address, value, 0, 0);
  }

  override store8(address: number, value: number): void {
    super.store8(address, value);
    this.recorder.note(Op.STORE8, address, value, 0, 0);
  }

  override store32(address: number, value: number): void {
    super.store32(address, value);
    this.recorder.note(Op.STORE32, address, value, 0, 0);
  }

  override add8(address: number, value: number): number {
    const old = super.add8(address, value);
    this.recorder.note(Op.ADD8, address, value, 0, old);
    return old;
  }

  override and8(address: number, value: number): number {
    const old = super.and8(address, value);
    this.recorder.note(Op.AND8, address, value, 0, old);
    return old;
  }

  override or8(address: number, value: number): number {
    const old = super.or8(address, value);
    this.recorder.note(Op.OR8, address, value, 0, old);
    return old;
  }

  override xor8(address: number, value: number): number {
    const old = super.xor8(address, value);
    this.recorder.note(Op.XOR8, address, value, 0, old);
    return old;
  }

  override exchange8(address: number, value: number): number {
    const old = super.exchange8(address, value);
    this.recorder.note(Op.EXCHANGE8, address, value, 0, old);
    return old;
  }

  override compareExchange8(address: number, expected: number, replacement: number): number {
    const old = super.compareExchange8(address, expected, replacement);
    this.recorder.note(Op.CAS8, address, replacement, expected, old);
    return old;
  }

  override add32(address: number, value: number): number {
    const old = super.add32(address, value);
    this.recorder.note(Op.ADD32, address, value, 0, old);
    return old;
  }

  override and32(address: number, value: number): number {
    const old = super.and32(address, value);
    this.recorder.note(Op.AND32, address, value, 0, old);
    return old;
  }

  override or32(address: number, value: number): number {
    const old = super.or32(address, value);
    this.recorder.note(Op.OR32, address, value, 0, old);
    return old;
  }

  override xor32(address: number, value: number): number {
    const old = super.xor32(address, value);
    this.recorder.note(Op.XOR32, address, value, 0, old);
    return old;
  }

  override exchange32(address: number, value: number): number {
    const old = super.exchange32(address, value);
    this.recorder.note(Op.EXCHANGE32, address, value, 0, old);
    return old;
  }

  override compareExchange32(address: number, expected: number, replacement: number): number {
    const old = super.compareExchange32(address, expected, replacement);
    this.recorder.note(Op.CAS32, address, replacement, expected, old);
    return old;
  }

  override fence(): void {
    super.fence();
    this.recorder.note(Op.FENCE, 0, 0, 0, 0);
  }

  override wait32(
    address: number,
    expected: number,
    timeoutNs = Number.POSITIVE_INFINITY,
  ): 'ok' | 'not-equal' | 'timed-out' {
    this.window();
    this.stress.markWaiting(this.slot, address, timeoutNs !== Number.POSITIVE_INFINITY);
    const found = Atomics.load(this.i32, address >> 2);
    if (found !== (expected | 0)) {
      this.stress.stopWaiting(this.slot);
      this.recorder.note(Op.WAIT, address, expected, 0, 1);
      return 'not-equal';
    }
    this.recorder.note(Op.WAIT, address, expected, 0, 0);
    try {
      const ended = this.sleep(address, timeoutNs >= 0 ? timeoutNs / 1e6 : 0);
      this.recorder.begin();
      this.recorder.note(Op.WAIT_END, address, 0, 0, ended === 'ok' ? 0 : 1);
      return ended;
    } finally {
      this.stress.stopWaiting(this.slot);
      this.meter.countWake();
    }
  }

  override notify32(address: number, count = Number.POSITIVE_INFINITY): number {
    this.window();
    let woken = 0;
    for (const slot of this.slots) {
      if (woken < count && this.stress.claimWaiter(slot, address)) woken++;
    }
    Atomics.notify(this.i32, address >> 2);
    this.recorder.note(Op.NOTIFY, address, Math.min(count, 0x7fffffff), 0, woken);
    return woken;
  }

  private sleep(address: number, timeoutMs: number): 'ok' | 'timed-out' {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const seen = Atomics.load(this.i32, address >> 2);
      if (!this.stress.isWaiting(this.slot)) return 'ok';
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return this.stress.claimWaiter(this.slot, address) ? 'timed-out' : 'ok';
      Atomics.wait(this.i32, address >> 2, seen, Math.min(leftMs, SLICE_MS));
      super.window();
    }
  }
}
