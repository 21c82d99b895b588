/**
 * What every thread of a run has: its own hypervisor object over the shared image, the engine's control words,
 * the clock and the way to the host's console. vCPUs, timer thread, devices and the main thread build on it.
 */
import { TextDecoder, TextEncoder } from 'node:util';
import { parentPort } from 'node:worker_threads';
import { type HvDomain, type HvVcpu, Hypervisor, type OpenMemory } from '../../hypervisor/hypervisor';
import type { MachineImage } from '../../hypervisor/image';
import { type Observer, PauseFlag, type Platform, type VcpuRef } from '../../hypervisor/platform';
import { openLeanMemory } from '../../memory/lean-memory';
import { LockHolder } from '../../memory/lock-words';
import type { LockableMemory } from '../../memory/memory';
import { SystemClock } from './clock';
import { Control, type ControlBuffers } from './control';
import { EdgeTable } from './edges';
import { Cause, causeWord } from './exits';
import { OutputRing, RecordKind } from './output-ring';
import { regionOf, TimedRecorder } from './record/access-log';
import { observeRecorded, openRecorded } from './record/recording-thread';
import { releaseSpentMemory } from './spent-memory';

/** In evtchn_upcall_pending of a vCPU that has to leave: makes its windows look. Xen uses bit 0 alone. */
export const STOP_MARK = 0x80;

/** What all tasks of a run are sent; structured-clonable. */
export interface MachineTask {
  /** Posted to the main thread when there is news for it. */
  readonly runId: string;
  readonly image: MachineImage;
  readonly control: ControlBuffers;
  /** See edges.ts. Absent: nobody looks. */
  readonly edges?: SharedArrayBuffer;
  /** Absent: nobody listens. */
  readonly output?: SharedArrayBuffer;
  /** System time 0 on the process-wide monotonic clock. */
  readonly originNs: number;
  /** Row of this thread in the table of events. */
  readonly row: number;
  /** Present: the run is recorded, see record/access-log.ts. */
  readonly record?: SharedArrayBuffer;
}

/** How a thread gives its hypervisor access to a buffer; `holder` and `number` as in AtomicsMemory. */
export type OpenLocks = (buffer: SharedArrayBuffer, holder: LockHolder, number: number) => LockableMemory;

/** How a thread's vCPU sleeps, and whether it has to leave. Only a vCPU's own thread has such an answer. */
export interface Sleeper {
  watch(): boolean;
  deschedule(): void;
  yield(): void;
  stopping(): boolean;
}

/** The thread of a row, as the locks know it. */
export function holderOf(row: number): number {
  return row + 1;
}

export class MachineThread {
  readonly control: Control;
  readonly clock: SystemClock;
  readonly hypervisor: Hypervisor;
  /** Present if the run is recorded. */
  readonly recorder: TimedRecorder | undefined;
  private readonly holder: LockHolder;
  private readonly ring: OutputRing | undefined;
  private readonly encoder = new TextEncoder();
  /** Row of the timer thread in the table of events: after all vCPUs. */
  private readonly timerRow: number;
  /** Number of a domain's first vCPU among all vCPUs, by position of the domain. */
  private readonly firstSlot: readonly number[];

  constructor(
    private readonly task: MachineTask,
    private readonly sleeper?: Sleeper,
    open: OpenLocks = openLeanMemory,
  ) {
    const { image } = task;
    releaseSpentMemory(image, task.output);
    this.control = new Control(task.control);
    this.clock = new SystemClock(task.originNs);
    this.ring = task.output && new OutputRing(task.output);
    let slot = 0;
    this.firstSlot = image.domains.map(({ config }) => {
      slot += config.vcpus;
      return slot - config.vcpus;
    });
    this.timerRow = slot;
    this.holder = new LockHolder(holderOf(task.row), this.control.notesOf(task.row));
    this.recorder = this.openRecorder();
    this.hypervisor = this.openHypervisor((buffer, region) =>
      open(buffer, this.holder, region.kind === 'global' ? 0 : this.indexOf(region.domainId) + 1),
    );
  }

  /** This thread has given up in the middle of hypervisor code, and somebody else looks after the locks it noted. */
  forgetNotes(): void {
    this.holder.$depth = 0;
  }

  /** Number of a vCPU among all vCPUs of the machine. */
  slotOf(domainIndex: number, vcpuId: number): number {
    return (this.firstSlot[domainIndex] as number) + vcpuId;
  }

  /** Position of a domain in the machine. */
  indexOf(domainId: number): number {
    return this.task.image.domains.findIndex(({ config }) => config.id === domainId);
  }

  /**
   * Claims the domain's end and makes its vCPUs leave. Returns whether this was the first cause; if not, the
   * vCPUs have been told already.
   */
  endDomain(domainIndex: number, cause: number): boolean {
    if (!this.control.claimExit(domainIndex, cause)) return false;
    this.stopVcpus(domainIndex);
    return true;
  }

  /**
   * Tells the domain's vCPUs to leave. A sleeper is woken; one that runs finds out in its next window, to which
   * the mark in evtchn_upcall_pending brings it. Its guest may wipe out the mark, so this is repeated
   * until all have left. STOP comes before the mark: whoever sees the mark finds STOP.
   */
  stopVcpus(domainIndex: number): void {
    const domain = this.hypervisor.domains[domainIndex];
    if (domain === undefined) throw new RangeError(`no domain ${domainIndex}`);
    for (const vcpu of domain.vcpus) {
      if (this.control.isFinished(this.slotOf(domainIndex, vcpu.vcpuId))) continue;
      domain.state.or32(vcpu.pauseFlagsAddress, PauseFlag.STOP);
      domain.state.notify32(vcpu.pauseFlagsAddress);
      this.setStopMark(domain, vcpu, true);
    }
  }

  /** Takes the marks of {@link stopVcpus} back, when no vCPU of the domain runs any more. */
  clearStopMarks(domainIndex: number): void {
    const domain = this.hypervisor.domains[domainIndex];
    for (const vcpu of domain?.vcpus ?? []) this.setStopMark(vcpu.domain, vcpu, false);
  }

  private setStopMark({ guest }: HvDomain, vcpu: HvVcpu, on: boolean): void {
    const address = this.hypervisor.vcpuInfoAddress(vcpu);
    const change = () => (on ? guest.or8(address, STOP_MARK) : guest.and8(address, ~STOP_MARK));
    if (this.recorder === undefined) change();
    else this.recorder.unrecorded(change);
  }

  log(domainId: number, vcpu: number, text: string): void {
    this.recorder?.line(text);
    this.write(RecordKind.LOG, domainId, vcpu, text);
  }

  /** Output of a domain's PV console. Never given up: the main thread takes records as long as this thread runs. */
  consoleOutput(domainId: number, bytes: Uint8Array): void {
    this.ring?.write(RecordKind.PV_CONSOLE, domainId, 0, bytes, this.poke, () => false);
  }

  /** Sends a record to the main thread; see {@link RecordKind}. */
  write(kind: number, domainId: number, vcpu: number, text: string): void {
    this.writeBytes(kind, domainId, vcpu, this.encoder.encode(text));
  }

  /** Tells the main thread to look. On the main thread itself nobody needs to be told. */
  readonly poke = (): void => {
    parentPort?.postMessage(this.task.runId);
  };

  private writeBytes(kind: number, domainId: number, vcpu: number, text: Uint8Array): void {
    this.ring?.write(kind, domainId, vcpu, text, this.poke, this.outputGivenUp);
  }

  private readonly outputGivenUp = (): boolean => this.sleeper?.stopping() ?? this.control.hardwareStopped;

  private openRecorder(): TimedRecorder | undefined {
    const { record, row } = this.task;
    if (record === undefined) return undefined;
    const home = this.firstSlot.findLastIndex((first) => first <= row);
    return new TimedRecorder(record, row, () => this.clock.now(), regionOf(home, false));
  }

  private openHypervisor(open: OpenMemory): Hypervisor {
    const { recorder } = this;
    const { image } = this.task;
    const observer = this.observer();
    if (recorder === undefined) return new Hypervisor(image, open, this.platform(), observer);
    const slotOf = (domainId: number, vcpuId: number) => this.slotOf(this.indexOf(domainId), vcpuId);
    const observed = observeRecorded(observer, recorder, slotOf);
    return new Hypervisor(image, openRecorded(open, recorder, image), this.platform(), observed);
  }

  private platform(): Platform {
    const { clock, control, sleeper } = this;
    return {
      now: () => clock.now(),
      deschedule: () => {
        if (sleeper === undefined) throw new Error('only a vCPU can make a hypercall that sleeps');
        sleeper.deschedule();
      },
      watch: () => sleeper?.watch() ?? false,
      yield: () => sleeper?.yield(),
      timerChanged: (deadlineNs) => {
        if (deadlineNs === Number.POSITIVE_INFINITY || !control.pokeTimer(deadlineNs)) return;
        // The main thread starts the timer thread when a timer is armed for the first time.
        if (control.threadOf(this.timerRow) === 0) this.poke();
      },
      consoleWrite: (vcpu: VcpuRef, bytes) => {
        this.recorder?.line(new TextDecoder().decode(bytes));
        this.writeBytes(RecordKind.CONSOLE, vcpu.domainId, vcpu.vcpuId, bytes);
      },
      domainShutdown: (domainId, code) => {
        this.endDomain(this.indexOf(domainId), causeWord(Cause.SHUTDOWN, 0, code));
      },
    };
  }

  /** Edges by port, where they are counted. */
  edgeTable(): EdgeTable | undefined {
    const { edges, image, row } = this.task;
    if (edges === undefined) return undefined;
    return new EdgeTable(
      edges,
      image.domains.map(({ config }) => config),
      row,
    );
  }

  private observer(): Observer {
    const { control } = this;
    const { row } = this.task;
    const table = this.edgeTable();
    const slotsById: number[] = [];
    for (const [index, { config }] of this.task.image.domains.entries()) {
      slotsById[config.id] = this.firstSlot[index] as number;
    }
    const unseen = { kicked() {}, woken() {}, xenConsumer() {} };
    if (table === undefined) {
      return {
        ...unseen,
        raised(domainId, vcpuId) {
          control.countEvent(row, (slotsById[domainId] as number) + vcpuId);
        },
      };
    }
    return {
      ...unseen,
      raised(domainId, vcpuId, port) {
        control.countEvent(row, (slotsById[domainId] as number) + vcpuId);
        table.count(domainId, port);
      },
    };
  }
}
