/** A vCPU of a recorded run: besides accesses its recorder is told of hypercalls, upcalls, sleep and choices. */
import type { DomainImage } from '../../../hypervisor/image';
import { AtomicsMemory } from '../../../memory/atomics-memory';
import type { Memory } from '../../../memory/memory';
import { Op } from '../../inline/ops';
import { VcpuThread } from '../vcpu-thread';
import type { WindowedMemory } from '../windowed-memory';
import { hypercallNumber, LogKind, regionOf, type TimedRecorder } from './access-log';
import { LoggedMemory } from './logged-memory';
import { RecordingMemory } from './recording-memory';

export class RecordedVcpu extends VcpuThread {
  private get recorder(): TimedRecorder {
    const { recorder } = this.machine;
    if (recorder === undefined) throw new Error('this run is not recorded');
    return recorder;
  }

  protected override openMemory({ guest, private: state }: DomainImage): WindowedMemory {
    return new LoggedMemory(guest, state, this.current.infoPointerAddress, this.recorder, this.mappedFrames());
  }

  /** Of the processor's own accesses the changes are told: its looks, one at every window, tell nothing. */
  protected override rawMemory({ guest }: DomainImage): Memory {
    const noted = { region: regionOf(this.domainIndex, false), reads: false, watches: () => true };
    return new RecordingMemory(new AtomicsMemory(guest), this.recorder, noted);
  }

  protected override returned(result: unknown): void {
    this.recorder.mark(LogKind.END);
    super.returned(result);
  }

  protected override deschedule(): void {
    this.recorder.mark(LogKind.SLEEP);
    super.deschedule();
    this.recorder.mark(LogKind.WAKE);
  }

  override hypercallEnter(name: string): void {
    super.hypercallEnter(name);
    this.recorder.mark(LogKind.HYPERCALL, hypercallNumber(name));
  }

  override hypercallExit(): void {
    super.hypercallExit();
    this.recorder.mark(LogKind.HYPERCALL_END);
  }

  override upcallEnter(): void {
    super.upcallEnter();
    this.recorder.mark(LogKind.UPCALL);
  }

  override upcallExit(): void {
    super.upcallExit();
    this.recorder.mark(LogKind.UPCALL_END);
  }

  override relax(): void {
    this.recorder.relax();
    super.relax();
  }

  override choose(n: number): number {
    const value = super.choose(n);
    this.recorder.mark(Op.CHOOSE, n, value);
    return value;
  }
}
