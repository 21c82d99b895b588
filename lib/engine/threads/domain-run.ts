/** One domain of a run, as the main thread keeps account of it: which vCPUs have ended how, and why it ends. */
import { RUNSTATE_blocked, RUNSTATE_running } from '../../abi';
import type { HvDomain, HvVcpu } from '../../hypervisor/machine';
import { readPair } from '../../hypervisor/pairs';
import { PauseFlag } from '../../hypervisor/platform';
import { VCPU_RUNSTATE_TIME } from '../../hypervisor/state-layout';
import { toError } from '../errors';
import type { DomainPlan } from '../machine-plan';
import { type DomainExit, type DomainResult, type ErrorData, errorData, type VcpuResult } from '../run-result';
import type { DomainState } from '../snapshot/summary';
import { Cause, causeKind, causeVcpu, causeWord, shutdownExit } from './exits';
import type { MachineThread } from './machine-thread';
import type { GuestFailure, VcpuOutcome } from './vcpu-thread';

export class DomainRun {
  readonly domain: HvDomain;
  /** Outcome of each vCPU's thread; undefined while it runs. */
  private readonly outcomes: (VcpuOutcome | undefined)[];
  /** What is known of the first cause beyond its word. */
  private detail: DomainExit | undefined;
  /** When its vCPUs were told to leave. */
  private endedAtMs: number | undefined;

  constructor(
    readonly index: number,
    readonly plan: DomainPlan,
    private readonly machine: MachineThread,
  ) {
    const domain = machine.hypervisor.domains[index];
    if (domain === undefined) throw new RangeError(`no domain ${index}`);
    this.domain = domain;
    this.outcomes = new Array(plan.config.vcpus).fill(undefined);
  }

  get name(): string {
    return this.plan.name;
  }

  slot(vcpu: number): number {
    return this.machine.slotOf(this.index, vcpu);
  }

  /** vCPUs whose thread still runs, waits, or has yet to start. */
  unsettled(): number[] {
    return [...this.outcomes.keys()].filter((vcpu) => this.outcomes[vcpu] === undefined);
  }

  get settled(): boolean {
    return !this.outcomes.includes(undefined);
  }

  /** Something has claimed the domain's end. */
  get ending(): boolean {
    return this.machine.control.exitCause(this.index) !== 0;
  }

  /** Milliseconds since the end was first seen by this thread; 0 while the domain lives. */
  endingForMs(nowMs: number): number {
    if (!this.ending) return 0;
    this.endedAtMs ??= nowMs;
    return nowMs - this.endedAtMs;
  }

  pauseFlags(vcpu: number): number {
    const hvVcpu = this.domain.vcpus[vcpu];
    return hvVcpu === undefined ? 0 : this.domain.state.load32(hvVcpu.pauseFlagsAddress);
  }

  /** A vCPU's thread has ended its task. */
  settle(vcpu: number, outcome: VcpuOutcome): void {
    this.outcomes[vcpu] = outcome;
    this.completeIfIdle();
  }

  /** A guest of the domain has failed, and that is why the domain ends. */
  failed(vcpu: number, { reason, error }: GuestFailure): void {
    this.detail = { reason, message: describe(vcpu, reason, error), vcpu, cause: error };
  }

  /** A vCPU's thread has gone without finishing its task. */
  lose(vcpu: number, thrown: unknown): void {
    const error = toError(thrown);
    if (this.end(causeWord(Cause.THREAD, vcpu))) this.detail = lostThread(vcpu, errorData(error));
    this.outcomes[vcpu] = { kind: 'stopped' };
    this.machine.control.markFinished(this.slot(vcpu));
  }

  /** Ends the domain for a reason the main thread found; false if something else came first. */
  end(cause: number, detail?: DomainExit): boolean {
    if (!this.machine.endDomain(this.index, cause)) return false;
    this.detail = detail;
    return true;
  }

  /** When the guests that ran have all returned and the other vCPUs were never brought up, nobody ever will. */
  private completeIfIdle(): void {
    if (this.ending) return;
    if (this.unsettled().every((vcpu) => (this.pauseFlags(vcpu) & PauseFlag.DOWN) !== 0)) {
      this.end(causeWord(Cause.COMPLETED));
    }
  }

  /** Why the domain ended. Asked when all its threads have. */
  exit(): DomainExit {
    const cause = this.machine.control.exitCause(this.index);
    if (causeKind(cause) === Cause.SHUTDOWN) return shutdownExit(cause);
    if (this.detail !== undefined) return this.detail;
    if (cause === 0 || causeKind(cause) === Cause.COMPLETED) return { reason: 'completed' };
    if (causeKind(cause) === Cause.STOPPED) return { reason: 'stopped' };
    const vcpu = causeVcpu(cause);
    return { reason: 'internal-error', message: `vCPU ${vcpu} ended for a reason unknown`, vcpu };
  }

  results(): readonly unknown[] {
    return this.outcomes.map((outcome) => (outcome?.kind === 'returned' ? outcome.result : undefined));
  }

  /** @param state - how it was, if it ended badly */
  result(state?: DomainState): DomainResult {
    const { config } = this.plan;
    return {
      id: config.id,
      name: this.name,
      exit: { ...this.exit(), ...(state === undefined ? {} : { state }) },
      vcpus: this.outcomes.map((outcome, vcpu) => this.vcpuResult(vcpu, outcome)),
    };
  }

  private vcpuResult(id: number, outcome: VcpuOutcome | undefined): VcpuResult {
    const { control } = this.machine;
    const slot = this.slot(id);
    return {
      id,
      ...(outcome?.kind === 'returned' && outcome.result !== undefined ? { result: outcome.result } : {}),
      upcalls: control.upcalls(slot),
      hypercalls: control.hypercalls(slot),
      events: control.eventsFor(slot),
      blockedNs: this.timeIn(id, RUNSTATE_blocked),
      runningNs: this.timeIn(id, RUNSTATE_running),
    };
  }

  /**
   * Time a vCPU spent in a state. Its lock is not taken: its thread has ended, perhaps while it held it.
   * @param state - RUNSTATE_*
   */
  private timeIn(vcpu: number, state: number): number {
    const { state: memory, vcpus } = this.domain;
    return readPair(memory, (vcpus[vcpu] as HvVcpu).address + VCPU_RUNSTATE_TIME + state * 8);
  }
}

function describe(vcpu: number, reason: string, cause: ErrorData): string {
  const text = reason === 'exception' ? `${cause.name}: ${cause.message}` : cause.message;
  return `vCPU ${vcpu}: ${text}`;
}

function lostThread(vcpu: number, cause: ErrorData): DomainExit {
  if (cause.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    const message = `vCPU ${vcpu}: out of memory: the guest needs more heap than memoryLimitMb allows`;
    return { reason: 'out-of-memory', message, vcpu, cause };
  }
  return { reason: 'exception', message: `vCPU ${vcpu}: its thread ended: ${cause.message}`, vcpu, cause };
}
