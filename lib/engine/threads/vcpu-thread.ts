/**
 * A vCPU on its own worker thread: waits until it is up, runs its guest function, and tells how that ended. The first cause
 * of a domain's end is claimed here, before any other vCPU is told, so that a consequence is never reported as the cause.
 */
import { format } from 'node:util';
import { threadId } from 'node:worker_threads';
import type { DiskPlace } from '../../guest/disk';
import type { GuestDomain } from '../../guest/vcpu';
import type { DomainImage } from '../../hypervisor/image';
import type { HvVcpu } from '../../hypervisor/machine';
import type { Memory } from '../../memory/memory';
import { SERVICES_DOMAIN_ID, serviceGuest } from '../../services';
import type { SectorStore } from '../disk';
import { GuestAssertionError, GuestCrashError, GuestExitError, toError } from '../errors';
import { type GuestHooks, GuestVcpu } from '../guest-vcpu';
import { type ErrorData, type ExitReason, errorData } from '../run-result';
import { type DomainSpec, freezeData, type Scenario } from '../scenario';
import { evaluateScenario, type ScenarioSource } from '../scenario-source';
import type { WordTable } from '../words';
import type { VcpuMeter } from './control';
import { OpenDisks } from './disk-files';
import { Cause, causeWord } from './exits';
import { type Guest, GuestThread } from './guest-thread';
import { type MachineTask, MachineThread } from './machine-thread';
import { MappedFrames } from './mapped-frames';
import { RecordKind } from './output-ring';
import { Parking } from './parking';
import { RandomStream } from './random';
import { threadEntryPoints } from './thread-entry-points';
import { WindowedMemory } from './windowed-memory';

export interface VcpuTask extends MachineTask {
  readonly source: ScenarioSource;
  readonly scenarioIndex: number;
  readonly domainIndex: number;
  readonly vcpuId: number;
  readonly guestDomain: GuestDomain;
  readonly words: WordTable;
  readonly seed: number;
  /** There is a core for each vCPU. */
  readonly haltPolling: boolean;
}

export type VcpuOutcome =
  | { readonly kind: 'returned'; readonly result: unknown }
  /** The domain ended first: its exit tells why. */
  | { readonly kind: 'stopped' };

/** The first cause of a domain's end, if a guest of its own is. */
export interface GuestFailure {
  readonly reason: ExitReason;
  readonly error: ErrorData;
}

export class VcpuThread extends GuestThread implements GuestHooks {
  readonly machine: MachineThread;
  protected readonly parking: Parking;
  protected readonly vcpu: GuestVcpu;
  protected readonly memory: WindowedMemory;
  protected readonly current: HvVcpu;
  protected readonly meter: VcpuMeter;
  private readonly slot: number;
  private readonly numbers: RandomStream;
  private readonly disks = new OpenDisks();
  private failed = false;
  private outcome: VcpuOutcome = { kind: 'stopped' };

  constructor(private readonly task: VcpuTask) {
    super();
    const image = task.image.domains[task.domainIndex];
    if (image === undefined) throw new RangeError(`no domain ${task.domainIndex}`);
    this.machine = new MachineThread(task, {
      watch: () => this.memory.watchUpcall(this.parking.patience),
      deschedule: () => this.deschedule(),
      yield: () => this.parking.yield(),
      stopping: () => this.parking.stopping,
    });
    const { hypervisor, clock } = this.machine;
    const current = hypervisor.vcpu(image.config.id, task.vcpuId);
    this.current = current;
    this.slot = this.machine.slotOf(task.domainIndex, task.vcpuId);
    this.meter = this.machine.control.meterOf(this.slot);
    this.parking = new Parking(image.private, current.pauseFlagsAddress, task.haltPolling, () => clock.now());
    this.numbers = new RandomStream(task.seed, this.slot);
    this.memory = this.openMemory(image);
    this.vcpu = new GuestVcpu({
      hypervisor,
      current,
      memory: this.memory,
      raw: this.rawMemory(image),
      foreign: (id) => hypervisor.vcpu(id, 0).domain.guest,
      domain: freezeData(task.guestDomain),
      words: task.words,
      hooks: this,
    });
    this.memory.whenPending(() => this.vcpu.deliverUpcalls());
    this.memory.whenFault((error) => this.crash(error));
  }

  /** What the guest sees. */
  protected openMemory({ guest, private: state }: DomainImage): WindowedMemory {
    return new WindowedMemory(guest, state, this.current.infoPointerAddress, this.mappedFrames());
  }

  protected mappedFrames(): MappedFrames {
    return new MappedFrames(this.task.image, this.task.domainIndex);
  }

  /** The same for the processor's own looks. */
  protected rawMemory(_image: DomainImage): Memory {
    return this.current.domain.guest;
  }

  protected get domainIndex(): number {
    return this.task.domainIndex;
  }

  run(): VcpuOutcome {
    const { control } = this.machine;
    control.markStarted(this.slot, threadId);
    const restore = interceptExit((code) => this.crash(new GuestExitError(code)));
    try {
      this.runGuest(() => guestFunction(this.task));
      return this.outcome;
    } finally {
      restore();
      this.disks.close();
      control.markFinished(this.slot);
    }
  }

  protected returned(result: unknown): void {
    if (!this.failed) this.outcome = { kind: 'returned', result: requireData(result) };
  }

  /**
   * Ends the domain because of the guest, unless it is ending already. The cause is sent at once: a guest that swallows
   * the signal to leave may never come to an outcome.
   */
  protected fail(thrown: unknown): void {
    if (this.failed) return;
    this.failed = true;
    const { domainIndex, guestDomain, vcpuId } = this.task;
    const cause = causeWord(Cause.GUEST, vcpuId);
    if (!this.machine.control.claimExit(domainIndex, cause)) return;
    const error = toError(thrown);
    const failure: GuestFailure = { reason: reasonOf(error), error: errorData(error) };
    this.machine.write(RecordKind.FAILURE, guestDomain.id, vcpuId, JSON.stringify(failure));
    this.machine.stopVcpus(domainIndex);
  }

  // GuestHooks.

  openDisk(place: DiskPlace): SectorStore {
    return this.disks.open(place, this.memory);
  }

  hypercallEnter(_name: string): void {
    this.meter.countHypercall();
  }

  hypercallExit(): void {
    this.meter.leaveHypervisor();
  }

  upcallEnter(): void {
    this.meter.countUpcall();
  }

  upcallExit(): void {}

  relax(): void {
    this.meter.countRelax();
    this.parking.spin();
    this.leaveIfStopped();
  }

  choose(n: number): number {
    return this.numbers.below(n);
  }

  random(): number {
    return this.numbers.next();
  }

  consoleOutput(domainId: number, bytes: Uint8Array): void {
    this.meter.enterHypervisor();
    this.machine.consoleOutput(domainId, bytes);
    this.meter.leaveHypervisor();
  }

  log(values: readonly unknown[]): void {
    const text = format(...values);
    this.meter.countLine();
    this.meter.enterHypervisor();
    this.machine.log(this.task.guestDomain.id, this.task.vcpuId, text);
    this.meter.leaveHypervisor();
  }
}

/** The function of the scenario that the vCPU executes. */
export function guestFunction(task: VcpuTask): Guest {
  const { guestDomain, vcpuId } = task;
  if (guestDomain.id === SERVICES_DOMAIN_ID) return serviceGuest(guestDomain.args, vcpuId);
  const scenario = evaluateScenario(task.source, { index: task.scenarioIndex, entryPoints: threadEntryPoints });
  const domain: DomainSpec = specOf(scenario, guestDomain.name);
  const guest = domain.guests?.[vcpuId] ?? domain.guest;
  if (guest === undefined) throw new Error(`${task.source.file} has no guest for vCPU ${vcpuId}`);
  return guest;
}

function specOf(scenario: Scenario, domainName: string): DomainSpec {
  return (scenario.domains as Readonly<Record<string, DomainSpec>> | undefined)?.[domainName] ?? scenario;
}

/** What a guest returns is sent to the main thread. */
function requireData(result: unknown): unknown {
  if (result instanceof Promise) {
    throw new TypeError('the guest function returned a promise: guests are synchronous, they wait with vcpu.block()');
  }
  try {
    return structuredClone(result);
  } catch {
    throw new TypeError(`the guest function returned ${format('%o', result)}: return plain data`);
  }
}

function reasonOf(error: Error): ExitReason {
  if (error instanceof GuestAssertionError) return 'assertion';
  if (error instanceof GuestCrashError) return 'crash';
  return error instanceof GuestExitError ? 'process-exit' : 'exception';
}

/** process.exit in a worker ends the thread without a word: while a guest runs it fails the guest instead. */
export function interceptExit(exit: (code: unknown) => never): () => void {
  const original = process.exit;
  process.exit = exit;
  return () => {
    process.exit = original;
  };
}
