/**
 * A vCPU on its own worker thread: waits until it is up, runs its guest function, and tells how that ended.
 *
 * A guest leaves its function by returning, by throwing, or because the vCPU has to stop; the last unwinds its
 * stack with a private signal, thrown from the next window, hypercall or sleep, again and again should the guest
 * swallow it. The first cause of a domain's end is claimed here, before any other vCPU is told, so that a
 * consequence is never reported as the cause.
 */
import { format } from 'node:util';
import { threadId } from 'node:worker_threads';
import { RUNSTATE_offline } from '../../abi';
import type { GuestDomain } from '../../guest/vcpu';
import type { HvVcpu } from '../../hypervisor/machine';
import { GuestAssertionError, GuestCrashError, GuestExitError, toError } from '../errors';
import { type GuestHooks, GuestVcpu } from '../guest-vcpu';
import { type ErrorData, type ExitReason, errorData } from '../run-result';
import { type DomainSpec, freezeData, type Scenario } from '../scenario';
import { evaluateScenario, type ScenarioSource } from '../scenario-source';
import type { WordTable } from '../words';
import type { VcpuMeter } from './control';
import { Cause, causeWord } from './exits';
import { type MachineTask, MachineThread } from './machine-thread';
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

/** Unwinds a guest whose vCPU has to leave. No Error: it is no failure, and costs no stack trace. */
class StopSignal {
  readonly message = 'this vCPU is being stopped: rethrow what you do not know';
}
export const STOP_SIGNAL = new StopSignal();

class VcpuThread implements GuestHooks {
  readonly machine: MachineThread;
  private readonly parking: Parking;
  private readonly guest: GuestVcpu;
  private readonly memory: WindowedMemory;
  private readonly current: HvVcpu;
  private readonly slot: number;
  private readonly meter: VcpuMeter;
  private readonly numbers: RandomStream;
  private failed = false;

  constructor(private readonly task: VcpuTask) {
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
    this.memory = new WindowedMemory(image.guest, image.private, current.infoPointerAddress);
    this.guest = new GuestVcpu({
      hypervisor,
      current,
      memory: this.memory,
      raw: current.domain.guest,
      domain: freezeData(task.guestDomain),
      words: task.words,
      hooks: this,
    });
    this.memory.whenPending(() => this.guest.deliverUpcalls());
  }

  run(): VcpuOutcome {
    const { control } = this.machine;
    control.markStarted(this.slot, threadId);
    const restore = interceptExit((code) => this.crash(new GuestExitError(code)));
    try {
      return this.runGuest();
    } finally {
      restore();
      control.markFinished(this.slot);
    }
  }

  private runGuest(): VcpuOutcome {
    const { runstates, sched } = this.machine.hypervisor;
    try {
      const guest = guestFunction(this.task);
      this.parking.waitUntilRunnable();
      this.leaveIfStopped();
      this.meter.enterHypervisor();
      sched.switchIn(this.current);
      this.meter.leaveHypervisor();
      const result = guest(this.guest);
      if (!this.failed) return { kind: 'returned', result: requireData(result) };
    } catch (thrown) {
      if (thrown !== STOP_SIGNAL) this.fail(thrown);
    } finally {
      this.meter.enterHypervisor();
      sched.switchOut(this.current);
      runstates.change(this.current, RUNSTATE_offline);
    }
    return { kind: 'stopped' };
  }

  /**
   * Ends the domain because of the guest, unless it is ending already. The cause is sent at once: a guest that swallows
   * the signal to leave may never come to an outcome.
   */
  private fail(thrown: unknown): void {
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

  private deschedule(): void {
    this.parking.waitUntilRunnable();
    this.meter.countWake();
    this.leaveIfStopped();
  }

  private leaveIfStopped(): void {
    if (!this.parking.stopping) return;
    this.meter.leaveHypervisor();
    throw STOP_SIGNAL;
  }

  // GuestHooks.

  upcallPossible(): boolean {
    return this.memory.upcallPending();
  }

  hypercallEnter(): void {
    this.meter.countHypercall();
  }

  hypercallExit(): void {
    this.meter.leaveHypervisor();
  }

  interrupted(): void {
    this.leaveIfStopped();
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

  now(): number {
    return this.machine.clock.now();
  }

  log(values: readonly unknown[]): void {
    const text = format(...values);
    this.meter.countLine();
    this.meter.enterHypervisor();
    this.machine.log(this.task.guestDomain.id, this.task.vcpuId, text);
    this.meter.leaveHypervisor();
  }

  cover(): void {}

  crash(cause: unknown): never {
    if (cause !== STOP_SIGNAL) this.fail(cause);
    throw STOP_SIGNAL;
  }
}

/** Runs one vCPU from start to end. The task of a worker thread. */
export function runVcpu(task: VcpuTask): VcpuOutcome {
  return new VcpuThread(task).run();
}

/** The function of the scenario that the vCPU executes. */
export function guestFunction(task: VcpuTask): (vcpu: GuestVcpu) => unknown {
  const scenario = evaluateScenario(task.source, { index: task.scenarioIndex, entryPoints: threadEntryPoints });
  const domain: DomainSpec = specOf(scenario, task.guestDomain.name);
  const guest = domain.guests?.[task.vcpuId] ?? domain.guest;
  if (guest === undefined) throw new Error(`${task.source.file} has no guest for vCPU ${task.vcpuId}`);
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
