/**
 * A guest's memory under stress: {@link LoggedMemory} that delays each access under chaos, and makes wait32 and notify32
 * exact.
 *
 * wait32 ends when it is notified and not before: that the word has changed meanwhile is not enough, and a guest that forgets to
 * notify sleeps for good, as under the deterministic engines. Who sleeps where is marked; whoever notifies takes the mark
 * away. The mark is set before the word is compared and looked for after it was changed, so one of the two sees
 * the other.
 */
import { Op } from '../../inline/ops';
import type { VcpuMeter } from '../control';
import type { MappedFrames } from '../mapped-frames';
import type { AccessRecorder } from '../record/access-log';
import { LoggedMemory } from '../record/logged-memory';
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
  readonly mapped: MappedFrames;
  /** Delays every access. */
  readonly chaos: Chaos | undefined;
}

export class StressMemory extends LoggedMemory {
  private readonly stress: StressWords;
  private readonly slot: number;
  private readonly slots: readonly number[];
  private readonly chaos: Chaos | undefined;
  private readonly meter: VcpuMeter;

  /** The first three as of {@link WindowedMemory}. */
  constructor(buffer: SharedArrayBuffer, state: SharedArrayBuffer, infoPointerAddress: number, parts: StressParts) {
    super(buffer, state, infoPointerAddress, parts.recorder, parts.mapped);
    this.stress = parts.words;
    this.slot = parts.slot;
    this.slots = parts.slots;
    this.chaos = parts.chaos;
    this.meter = parts.meter;
  }

  protected override window(): void {
    this.chaos?.delay();
    super.window();
  }

  override write8(address: number, value: number): void {
    this.chaos?.linger();
    super.write8(address, value);
  }

  override write32(address: number, value: number): void {
    this.chaos?.linger();
    super.write32(address, value);
  }

  override wait32(
    address: number,
    expected: number,
    timeoutNs = Number.POSITIVE_INFINITY,
  ): 'ok' | 'not-equal' | 'timed-out' {
    this.requireOwn(address);
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
