/**
 * One boot of a machine on worker threads, as the main thread conducts it: starts the threads, keeps account of
 * their ends, looks after stuck and deadlocked guests, and comes to a result in every case.
 *
 * Every end of a domain goes the same way. Somebody claims it with the first cause (a vCPU whose guest failed, the
 * hypervisor on a shutdown, or this class); its vCPUs are told to leave; those that do not within a grace period
 * have their threads ended; when all have left, the domain is over. When all domains are over the hardware is
 * switched off, and the run is over when its threads have gone.
 */
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { SHUTDOWN_crash } from '../../abi';
import { createMachineImage } from '../../hypervisor/image';
import { PauseFlag } from '../../hypervisor/platform';
import { initialiseMachine } from '../../hypervisor/start-of-day';
import { ScenarioError, toError } from '../errors';
import type { MachinePlan } from '../machine-plan';
import { type ErrorData, errorData, failureOfDomains, type RunFailure, type RunResult } from '../run-result';
import type { ToolstackDomain } from '../scenario';
import { mapStack, type ScenarioSource } from '../scenario-source';
import { checkContext, describeDomains, setupContext, toolstackDomains } from '../toolstack';
import { initialiseWords } from '../words';
import { monotonicNs } from './clock';
import { createControlBuffers } from './control';
import { describeSleepers, isDeadlocked } from './deadlock';
import type { DeviceOutcome, DeviceTask } from './device-thread';
import { DomainRun } from './domain-run';
import { Cause, causeWord } from './exits';
import { InputPump } from './input-pump';
import { type MachineTask, MachineThread } from './machine-thread';
import { OutputReader } from './output-reader';
import { createOutputRing } from './output-ring';
import type { WorkerPool } from './pool';
import type { CheckedRunOptions, RunProgress } from './run-options';
import type { TimerTask } from './timer-thread';
import type { VcpuOutcome, VcpuTask } from './vcpu-thread';
import { Watchdog } from './watchdog';

const LOOK_INTERVAL_MS = 50;
const PROGRESS_INTERVAL_MS = 500;
/** How long vCPUs that were told to leave have time to. */
const GRACE_MS = 400;
/** Timers are served from this long after the start at the latest, even if some vCPU's thread is still starting. */
const TIMER_START_LIMIT_MS = 250;

export class MachineRun {
  private readonly runId = randomUUID();
  private readonly machine: MachineThread;
  private readonly domains: readonly DomainRun[];
  private readonly views: Readonly<Record<string, ToolstackDomain>>;
  private readonly output: OutputReader;
  private readonly input: InputPump;
  private readonly watchdog: Watchdog;
  private readonly task: Omit<MachineTask, 'row'>;
  private readonly startMs = performance.now();
  private readonly terminated = new Set<number>();
  /** By slot of the vCPU: ends its thread. */
  private readonly controllers = new Map<number, AbortController>();
  /** To be waited for at the end: devices, and threads that are being ended. */
  private readonly leaving: Promise<void>[] = [];
  private readonly over: { readonly promise: Promise<void>; readonly resolve: () => void };
  /** Domains in the order in which they ended. */
  private readonly ended: DomainRun[] = [];
  private devicesRunning = 0;
  private deviceFailure: RunFailure | undefined;
  private timer: Promise<void> | undefined;
  private lastProgressMs = 0;

  constructor(
    private readonly plan: MachinePlan,
    private readonly source: ScenarioSource,
    private readonly pool: WorkerPool,
    private readonly options: CheckedRunOptions,
  ) {
    const configs = plan.domains.map(({ config }) => config);
    const vcpus = configs.reduce((sum, config) => sum + config.vcpus, 0);
    const wallclockMs = Date.now();
    this.task = {
      runId: this.runId,
      image: createMachineImage(configs, {
        ...plan.machine,
        wallclockSec: Math.floor(wallclockMs / 1000),
        wallclockNsec: (wallclockMs % 1000) * 1e6,
      }),
      // Rows: the vCPUs, the timer thread, the devices, the main thread.
      control: createControlBuffers({
        vcpus,
        domains: configs.length,
        threads: vcpus + 1 + this.deviceNames.length + 1,
      }),
      output: createOutputRing(),
      originNs: monotonicNs(),
    };
    this.machine = new MachineThread({ ...this.task, row: vcpus + 1 + this.deviceNames.length });
    this.machine.control.markTimerAwake();
    this.domains = plan.domains.map((domain, index) => new DomainRun(index, domain, this.machine));
    const { hypervisor } = this.machine;
    this.views = toolstackDomains(hypervisor, describeDomains(plan), (id) => hypervisor.vcpu(id, 0).domain.guest);
    this.output = new OutputReader(this.task.output, this.domains, this.deviceNames, options, this.mapped);
    // Without a domain that may read the console nobody would ever take the input.
    const listens = configs.some(({ privileged }) => privileged);
    this.input = new InputPump(hypervisor, listens ? options.input : undefined);
    this.watchdog = new Watchdog(this.machine, options.watchdogMs);
    let resolve = (): void => {};
    const promise = new Promise<void>((done) => {
      resolve = done;
    });
    this.over = { promise, resolve };
  }

  private get deviceNames(): readonly string[] {
    return Object.keys(this.plan.scenario.devices ?? {});
  }

  private readonly mapped = (stack: string): string => mapStack(this.source, stack);

  /** Boots the machine and runs it to its end. Settles in every case. */
  async execute(): Promise<RunResult> {
    this.setUp();
    const { signal } = this.options;
    const abort = (): void => this.abort('aborted');
    const look = setInterval(() => this.look(), LOOK_INTERVAL_MS);
    signal?.addEventListener('abort', abort, { once: true });
    this.pool.listen(this.runId, () => this.onNews());
    try {
      this.startThreads();
      void this.input.run().catch(() => {});
      if (signal?.aborted) abort();
      await this.over.promise;
      this.machine.control.stopHardware();
      this.input.stop();
      await Promise.all(this.leaving);
      // A timer thread that is still starting finds later that there is nothing to do; nobody waits for that.
      if (this.machine.control.timerRuns) await this.timer;
    } finally {
      clearInterval(look);
      signal?.removeEventListener('abort', abort);
      this.pool.unlisten(this.runId);
    }
    this.output.finish();
    return this.conclude();
  }

  private setUp(): void {
    initialiseMachine(this.machine.hypervisor);
    for (const { plan, domain } of this.domains) initialiseWords(domain.guest, plan.words);
    try {
      this.plan.scenario.setup?.(setupContext(this.views, this.plan.args));
    } catch (thrown) {
      const error = toError(thrown);
      const message = `scenario '${this.plan.scenario.name}': setup throws: ${error.name}: ${error.message}`;
      throw new ScenarioError('SCENARIO_THROWS', message, { cause: error });
    }
  }

  private startThreads(): void {
    const { scenario, args } = this.plan;
    const haltPolling = this.options.haltPolling ?? this.machine.control.vcpus <= availableParallelism();
    const source = { ...this.source, map: '' };
    const common = { ...this.task, source, scenarioIndex: scenario.origin.index, seed: this.options.seed };
    for (const domain of this.domains) {
      const { guestDomain, words } = domain.plan;
      for (const vcpuId of domain.unsettled()) {
        const row = domain.slot(vcpuId);
        const place = { row, domainIndex: domain.index, vcpuId, guestDomain, words: words.table, haltPolling };
        this.startVcpu(domain, { ...common, ...place });
      }
    }
    const domains = describeDomains(this.plan);
    for (const [index, name] of this.deviceNames.entries()) {
      this.startDevice({ ...common, row: this.machine.control.vcpus + 1 + index, name, args, domains });
    }
  }

  private startVcpu(domain: DomainRun, task: VcpuTask): void {
    const controller = new AbortController();
    this.controllers.set(task.row, controller);
    this.pool
      .run('vcpu', task, controller.signal)
      .then(
        (outcome) => domain.settle(task.vcpuId, outcome as VcpuOutcome),
        (error) => domain.lose(task.vcpuId, error),
      )
      .finally(() => this.afterSettle(domain));
  }

  private startDevice(task: DeviceTask): void {
    this.devicesRunning++;
    const done = this.pool
      .run('device', task)
      .then(
        (outcome) => this.deviceEnded(task.name, outcome as DeviceOutcome),
        (error) => this.deviceEnded(task.name, { kind: 'failed', error: errorData(toError(error)) }),
      )
      .finally(() => this.devicesRunning--);
    this.leaving.push(done);
  }

  private startTimer(): void {
    if (this.timer !== undefined) return;
    const task: TimerTask = { ...this.task, row: this.machine.control.vcpus };
    const failed = (error: unknown): void => this.abort(`the timer thread failed: ${toError(error).message}`);
    this.timer = this.pool.run('timer', task).then(() => {}, failed);
  }

  private deviceEnded(name: string, outcome: DeviceOutcome): void {
    if (outcome.kind === 'returned') return;
    const { error } = outcome;
    const cause: ErrorData = error.stack === undefined ? error : { ...error, stack: this.mapped(error.stack) };
    const message = `device '${name}': ${error.name}: ${error.message}`;
    this.deviceFailure ??= { kind: 'device', message, cause };
    this.abort(message);
  }

  private abort(message: string): void {
    for (const domain of this.domains) {
      if (!domain.settled) domain.end(causeWord(Cause.ABORTED), { reason: 'aborted', message });
    }
  }

  private afterSettle(domain: DomainRun): void {
    if (!domain.settled || this.ended.includes(domain)) return;
    this.output.drain();
    this.ended.push(domain);
    this.machine.clearStopMarks(domain.index);
    this.announceEnd(domain);
    if (this.ended.length === this.domains.length) this.over.resolve();
  }

  /** Tells the handler of VIRQ_DOM_EXC, unless the domain simply completed. */
  private announceEnd(domain: DomainRun): void {
    const { sched } = this.machine.hypervisor;
    if (domain.exit().reason === 'completed') return;
    sched.shutdownDomain(domain.domain, SHUTDOWN_crash);
    sched.finaliseShutdown(domain.domain);
  }

  /** A thread has started, or has written something. */
  private onNews(): void {
    this.output.drain();
    if (this.timer === undefined && this.allStarted()) this.startTimer();
  }

  private allStarted(): boolean {
    const { control } = this.machine;
    return this.domains.every((domain) =>
      domain.unsettled().every((vcpu) => control.threadOf(domain.slot(vcpu)) !== 0),
    );
  }

  /** What has to be looked at from time to time. */
  private look(): void {
    const nowMs = performance.now();
    this.output.drain();
    if (nowMs - this.startMs > TIMER_START_LIMIT_MS) this.startTimer();
    this.watchdog.tick(nowMs, this.domains);
    for (const domain of this.domains) {
      if (domain.settled) continue;
      if (domain.ending) this.pressOn(domain, nowMs);
      else this.lookForHang(domain);
    }
    this.lookForDeadlock();
    this.reportProgress(nowMs);
  }

  /** Repeats the request to leave, and in the end ends the threads that do not heed it. */
  private pressOn(domain: DomainRun, nowMs: number): void {
    this.machine.stopVcpus(domain.index);
    if (domain.endingForMs(nowMs) < GRACE_MS) return;
    for (const vcpu of domain.unsettled()) this.terminate(domain, vcpu);
  }

  private terminate(domain: DomainRun, vcpu: number): void {
    const thread = this.machine.control.threadOf(domain.slot(vcpu));
    if (thread === 0 || this.terminated.has(thread)) return;
    this.terminated.add(thread);
    const controller = this.controllers.get(domain.slot(vcpu));
    if (controller !== undefined) this.leaving.push(this.pool.terminate(thread, controller));
  }

  private lookForHang(domain: DomainRun): void {
    const stuck = this.watchdog.look(domain);
    if (stuck === undefined) return;
    domain.end(causeWord(Cause.HANG, stuck.vcpu), { reason: 'hang', ...stuck });
    // It would not heed a request to leave.
    this.terminate(domain, stuck.vcpu);
  }

  private lookForDeadlock(): void {
    if (this.options.onDeadlock === 'wait' || this.devicesRunning > 0 || !this.input.finished) return;
    const living = this.domains.filter((domain) => !domain.settled);
    if (!isDeadlocked(this.machine, living)) return;
    for (const domain of living) {
      const message = `deadlock: ${describeSleepers(domain)}, and nothing is left that could wake it`;
      domain.end(causeWord(Cause.DEADLOCK), { reason: 'deadlock', message });
    }
  }

  private reportProgress(nowMs: number): void {
    const { onProgress } = this.options;
    if (onProgress === undefined || nowMs - this.lastProgressMs < PROGRESS_INTERVAL_MS) return;
    this.lastProgressMs = nowMs;
    onProgress({ elapsedMs: nowMs - this.startMs, domains: this.domains.map((domain) => this.progressOf(domain)) });
  }

  private progressOf(domain: DomainRun): RunProgress['domains'][number] {
    const { control } = this.machine;
    const vcpus = domain.domain.vcpus.map(({ vcpuId }) => {
      const slot = domain.slot(vcpuId);
      return {
        id: vcpuId,
        state: this.stateOf(domain, vcpuId),
        upcalls: control.upcalls(slot),
        hypercalls: control.hypercalls(slot),
        events: control.eventsFor(slot),
      };
    });
    return { name: domain.name, vcpus };
  }

  private stateOf(domain: DomainRun, vcpu: number): RunProgress['domains'][number]['vcpus'][number]['state'] {
    const slot = domain.slot(vcpu);
    if (this.machine.control.isFinished(slot)) return 'finished';
    if (this.machine.control.threadOf(slot) === 0) return 'starting';
    const flags = domain.pauseFlags(vcpu);
    if ((flags & PauseFlag.DOWN) !== 0) return 'offline';
    return (flags & PauseFlag.BLOCKED) === 0 ? 'running' : 'blocked';
  }

  private conclude(): RunResult {
    const domains = this.domains.map((domain) => domain.result());
    const inOrder = this.ended.map(({ index }) => domains[index]).filter((domain) => domain !== undefined);
    const failure = this.deviceFailure ?? failureOfDomains(inOrder) ?? this.runCheck();
    return {
      scenario: this.plan.scenario.name,
      engine: 'threads',
      elapsedMs: performance.now() - this.startMs,
      seed: this.options.seed,
      domains,
      failure,
    };
  }

  private runCheck(): RunFailure | null {
    const resultsOf = Object.fromEntries(this.domains.map((domain) => [domain.name, domain.results()]));
    try {
      this.plan.scenario.check?.(checkContext(this.views, this.plan.args, resultsOf));
      return null;
    } catch (thrown) {
      const cause = errorData(toError(thrown), this.mapped);
      return { kind: 'check', message: `check: ${cause.message}`, cause };
    }
  }
}
