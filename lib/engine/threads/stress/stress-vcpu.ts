/**
 * A vCPU of a machine under stress, on its worker thread: the same thread executes its guest in every iteration. The
 * thread of the first vCPU is the conductor besides, see conductor.ts.
 */
import { type MessagePort, threadId } from 'node:worker_threads';
import type { HvVcpu } from '../../../hypervisor/machine';
import { PauseFlag } from '../../../hypervisor/platform';
import { openLeanMemory } from '../../../memory/lean-memory';
import { GuestAssertionError, GuestExitError, toError } from '../../errors';
import { type GuestHooks, GuestVcpu } from '../../guest-vcpu';
import { Op } from '../../inline/ops';
import { Random } from '../../rng';
import { errorData } from '../../run-result';
import { freezeData } from '../../scenario';
import type { VcpuMeter } from '../control';
import { Cause, causeWord } from '../exits';
import { type Guest, GuestThread } from '../guest-thread';
import { MappedFrames } from '../mapped-frames';
import { Parking } from '../parking';
import { AccessRecorder, hypercallNumber, LogKind, regionOf } from '../record/access-log';
import { guestFunction, interceptExit } from '../vcpu-thread';
import { Chaos } from './chaos';
import { ChaoticMemory } from './chaotic-memory';
import { Results } from './results';
import { type GuestReport, iterationSeed, StressMachine, type StressVcpuTask } from './session';
import { StressMemory } from './stress-memory';

const { DOWN } = PauseFlag;
/** Keeps the numbers of vcpu.choose apart from those of vcpu.random. */
const CHOICES = 0x5bd1e995;

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}

export class StressVcpu extends GuestThread implements GuestHooks {
  readonly machine: StressMachine;
  /** Whether its delays reach the conductor's own work is for that to say. */
  readonly chaos: Chaos | undefined;
  protected readonly parking: Parking;
  protected readonly vcpu: GuestVcpu;
  protected readonly memory: StressMemory;
  protected readonly current: HvVcpu;
  protected readonly meter: VcpuMeter;
  private readonly recorder: AccessRecorder;
  private readonly results: Results;
  private readonly slot: number;
  private readonly port: MessagePort;
  private readonly guest: Guest;
  private numbers = new Random(0);
  private choices = new Random(0);
  private iteration = 0;
  private seed = 0;
  private failed = false;

  constructor(private readonly task: StressVcpuTask) {
    super();
    const image = task.image.domains[task.domainIndex];
    if (image === undefined) throw new RangeError(`no domain ${task.domainIndex}`);
    const { stress } = task;
    const chaos = this.makeChaos();
    this.chaos = chaos;
    this.machine = new StressMachine(
      task,
      {
        watch: () => this.memory.watchUpcall(this.parking.patience),
        deschedule: () => this.deschedule(),
        yield: () => this.parking.yield(),
        stopping: () => this.parking.stopping,
      },
      chaos === undefined
        ? openLeanMemory
        : (buffer, holder, number) => new ChaoticMemory(buffer, chaos, holder, number),
    );
    const { hypervisor, clock, words } = this.machine;
    const current = hypervisor.vcpu(image.config.id, task.vcpuId);
    this.current = current;
    this.slot = this.machine.slotOf(task.domainIndex, task.vcpuId);
    this.meter = this.machine.control.meterOf(this.slot);
    this.port = task.port;
    this.parking = new Parking(image.private, current.pauseFlagsAddress, task.haltPolling, () => clock.now());
    this.recorder = new AccessRecorder(stress.log, this.slot, regionOf(task.domainIndex, false));
    this.results = new Results(stress.results);
    const { meter, recorder, slot } = this;
    const mapped = new MappedFrames(task.image, task.domainIndex);
    const parts = { recorder, words, meter, chaos, slot, slots: task.slots, mapped };
    this.memory = new StressMemory(image.guest, image.private, current.infoPointerAddress, parts);
    this.vcpu = new GuestVcpu({
      hypervisor,
      current,
      memory: this.memory,
      raw: current.domain.guest,
      foreign: (id) => hypervisor.vcpu(id, 0).domain.guest,
      domain: freezeData(task.guestDomain),
      words: task.words,
      hooks: this,
    });
    this.memory.whenPending(() => this.vcpu.deliverUpcalls());
    this.memory.whenFault((error) => this.crash(error));
    this.guest = this.disturbed(guestFunction(task));
    this.machine.control.markStarted(this.slot, threadId);
  }

  /** Executes the guest once. Everything of it is over when this returns. @param iteration - of the session */
  execute(iteration: number): void {
    const { control, clock, words } = this.machine;
    const seed = iterationSeed(this.task.stress.seed, this.task.stress.before + iteration);
    this.iteration = iteration;
    this.seed = seed;
    this.failed = false;
    this.numbers = new Random(seed + this.slot);
    this.choices = new Random((seed ^ CHOICES) + this.slot);
    clock.restart(words.originNs);
    this.recorder.restart();
    this.vcpu.restart();
    this.runGuest(() => this.guest);
    this.meter.leaveHypervisor();
    control.markFinished(this.slot);
    this.endIfIdle();
  }

  private makeChaos(): Chaos | undefined {
    const { domainIndex, image, stress, vcpuId } = this.task;
    const { alone, cold } = stress;
    if (cold === undefined) return undefined;
    const counts = image.domains.map(({ config }) => config.vcpus);
    const slot = sum(counts.slice(0, domainIndex)) + vcpuId;
    const vcpus = sum(counts);
    const meet = () => this.machine.words.meet(vcpus);
    return new Chaos({ slot, vcpus, alone, cold, meet, othersThrough: () => this.othersFinished(slot, vcpus) });
  }

  /** Chaos is for the guest, and for what the hypervisor does on its behalf; not for how a vCPU is started and stopped. */
  private disturbed(guest: Guest): Guest {
    const { chaos } = this;
    if (chaos === undefined) return guest;
    return (vcpu) => {
      chaos.begin(this.seed);
      try {
        return guest(vcpu);
      } finally {
        chaos.rest();
      }
    };
  }

  private othersFinished(slot: number, vcpus: number): boolean {
    const { control } = this.machine;
    for (let other = 0; other < vcpus; other++) if (other !== slot && !control.isFinished(other)) return false;
    return true;
  }

  protected returned(result: unknown): void {
    if (result instanceof Promise) throw new TypeError('the guest function returned a promise: guests are synchronous');
    this.results.put(this.slot, result);
  }

  /** When all of the domain that ran have returned, those that were never brought up never will be. */
  private endIfIdle(): void {
    const { control } = this.machine;
    const { state, vcpus } = this.current.domain;
    for (const { vcpuId, pauseFlagsAddress } of vcpus) {
      const finished = control.isFinished(this.machine.slotOf(this.task.domainIndex, vcpuId));
      if (!finished && (state.load32(pauseFlagsAddress) & DOWN) === 0) return;
    }
    this.machine.endDomain(this.task.domainIndex, causeWord(Cause.COMPLETED));
  }

  protected fail(thrown: unknown): void {
    if (this.failed) return;
    this.failed = true;
    const { domainIndex, vcpuId, stress } = this.task;
    if (!this.machine.endDomain(domainIndex, causeWord(Cause.GUEST, vcpuId))) return;
    const error = toError(thrown);
    const report: GuestReport = {
      type: 'guest',
      iteration: stress.before + this.iteration,
      kind: error instanceof GuestAssertionError ? 'assertion' : 'crash',
      error: errorData(error),
    };
    this.port.postMessage(report);
  }

  // GuestHooks.

  /** Asked before and after each hypercall. */
  override upcallPossible(): boolean {
    this.chaos?.delay();
    return super.upcallPossible();
  }

  hypercallEnter(name: string): void {
    this.meter.countHypercall();
    this.recorder.mark(LogKind.HYPERCALL, hypercallNumber(name));
  }

  hypercallExit(): void {
    this.meter.leaveHypervisor();
    this.recorder.mark(LogKind.HYPERCALL_END);
  }

  upcallEnter(): void {
    this.meter.countUpcall();
    this.recorder.mark(LogKind.UPCALL);
  }

  upcallExit(): void {
    this.recorder.mark(LogKind.UPCALL_END);
  }

  relax(): void {
    this.meter.countRelax();
    this.chaos?.relax();
    this.recorder.relax();
    this.parking.spin();
    this.leaveIfStopped();
  }

  choose(n: number): number {
    const value = Math.floor(this.choices.fraction() * n);
    this.recorder.mark(Op.CHOOSE, n, value);
    return value;
  }

  random(): number {
    return this.numbers.fraction();
  }

  log(): void {}

  consoleOutput(): void {}

  /** Until the returned function is called, process.exit in this thread is a failure of the guest. */
  guardExit(): () => void {
    return interceptExit((code) => this.crash(new GuestExitError(code)));
  }
}
