/**
 * One boot of a machine on worker threads, as the main thread conducts it: starts the threads, looks after stuck and
 * deadlocked guests, and comes to a result in every case.
 *
 * Every end of a domain goes the same way. Somebody claims it with the first cause (a vCPU whose guest failed, the
 * hypervisor on a shutdown, or this class); its vCPUs are told to leave; those that do not within a grace period
 * have their threads ended; when all have left, the domain is over. When all domains but daemons are over, those are given
 * time to finish what they have been asked, and stopped. When all domains are over the hardware is switched off, and the
 * run is over when its threads have gone.
 */
import { SHUTDOWN_crash } from '../../abi';
import type { HvDomain } from '../../hypervisor/machine';
import { toError } from '../errors';
import type { MachinePlan } from '../machine-plan';
import { MonitorServer } from '../monitor/server';
import {
  type DomainExit,
  type ErrorData,
  errorData,
  failureOfDomains,
  type RunFailure,
  type RunResult,
} from '../run-result';
import type { ScenarioSource } from '../scenario-source';
import { checkContext } from '../toolstack';
import { Aftermath } from './aftermath';
import { ConsoleInputs } from './console-inputs';
import { Crew, type CrewEvents } from './crew';
import { areAsleep, describeSleepers, isDeadlocked } from './deadlock';
import type { DomainRun } from './domain-run';
import { Cause, causeWord } from './exits';
import { MachineHost } from './machine-host';
import { reportSource } from './monitoring';
import { OutputReader } from './output-reader';
import type { WorkerPool } from './pool';
import { PostMortem } from './post-mortem';
import { progressOf } from './progress';
import type { Recording } from './record/recording';
import { brokenAtRest } from './resting-invariants';
import type { CheckedRunOptions } from './run-options';
import { Watchdog } from './watchdog';

const LOOK_INTERVAL_MS = 50;
const PROGRESS_INTERVAL_MS = 500;
/** As often as Xen calibrates its clocks. */
const CALIBRATION_INTERVAL_MS = 1000;
/** How long vCPUs that were told to leave have time to. */
const GRACE_MS = 400;
/** The same for a thread inside the hypervisor: it may hold a lock, and leaves soon unless it waits for one. */
const HYPERVISOR_GRACE_MS = 4000;
/** How long daemons may take to finish what they have been asked. */
const DAEMON_GRACE_MS = 2000;
const DAEMON_LOOK_INTERVAL_MS = 1;

export class MachineRun implements CrewEvents {
  private readonly host: MachineHost;
  private readonly crew: Crew;
  private readonly aftermath: Aftermath;
  private readonly output: OutputReader;
  private readonly input: ConsoleInputs;
  private readonly watchdog: Watchdog;
  private readonly postMortem: PostMortem;
  private readonly over: Promise<void>;
  private finish: () => void = () => {};
  /** Looks whether the daemons have come to rest, from when all other domains are over. */
  private daemonLook: NodeJS.Timeout | undefined;
  /** Domains in the order in which they ended. */
  private readonly ended: DomainRun[] = [];
  private deviceFailure: RunFailure | undefined;
  /** What a callback of the user's threw. */
  private callbackError: { readonly thrown: unknown } | undefined;
  private recorded: Recording | undefined;
  private lastProgressMs = 0;
  private lastCalibrationMs = performance.now();

  constructor(
    private readonly plan: MachinePlan,
    source: ScenarioSource,
    private readonly pool: WorkerPool,
    private readonly options: CheckedRunOptions,
  ) {
    this.host = new MachineHost(plan, source, options);
    this.crew = new Crew(this.host, pool, this);
    const living = (): HvDomain[] => this.host.domains.flatMap((each) => (each.settled ? [] : [each.domain]));
    this.aftermath = new Aftermath(this.host.machine, this.host.ownRow, living);
    this.output = new OutputReader(this.host, options);
    const attempt = (work: () => void): boolean => this.aftermath.attempt(work);
    this.input = new ConsoleInputs(plan, this.host.machine.hypervisor, this.host.views, attempt, options);
    this.watchdog = new Watchdog(this.host.machine, options.watchdogMs);
    this.postMortem = new PostMortem(this.host);
    this.over = new Promise((resolve) => {
      this.finish = resolve;
    });
  }

  /**
   * Boots the machine and runs it to its end. Settles in every case; rejects only if set-up or a callback throws, or the control
   * socket cannot be made: nothing has been started then.
   */
  async execute(): Promise<RunResult> {
    const monitor = await this.serveControl();
    let end = 'it was given up';
    try {
      const result = await this.runToEnd();
      const kind = result.failure?.kind;
      if (kind === undefined) end = 'it held';
      else if (kind === 'aborted' && this.options.signal?.aborted) end = 'it was interrupted';
      else end = `it failed (${kind})`;
      return result;
    } finally {
      await monitor?.close(end);
    }
  }

  private async serveControl(): Promise<MonitorServer | undefined> {
    const { plan, host, options } = this;
    if (options.control === undefined) return undefined;
    const { machine, startMs } = host;
    const { seed } = options;
    return await MonitorServer.listen(
      options.control,
      reportSource({ plan, machine, engine: 'threads', seed, startMs }),
    );
  }

  private async runToEnd(): Promise<RunResult> {
    this.host.setUp();
    const { signal } = this.options;
    const abort = (): void => this.abort('aborted');
    const look = setInterval(() => this.aftermath.attempt(() => this.look()), LOOK_INTERVAL_MS);
    signal?.addEventListener('abort', abort, { once: true });
    this.pool.listen(this.host.runId, () => this.onNews());
    try {
      this.crew.start();
      this.serveTimers();
      this.input.start();
      if (signal?.aborted) abort();
      await this.over;
      this.input.stop();
      await this.crew.dismiss();
      this.aftermath.finish();
    } finally {
      clearInterval(look);
      clearInterval(this.daemonLook);
      signal?.removeEventListener('abort', abort);
      this.pool.unlisten(this.host.runId);
    }
    this.guarded(() => this.output.finish());
    if (this.callbackError !== undefined) throw this.callbackError.thrown;
    // Before the scenario's check looks at the machine.
    this.recorded = this.host.record?.finish(this.host.machine.hypervisor);
    return this.conclude();
  }

  /** What was recorded, if anything was to be: there when {@link execute} has resolved. */
  get recording(): Recording | undefined {
    return this.recorded;
  }

  threadGone(row: number, domain?: DomainRun): void {
    // What it holds is told as it was left.
    if (domain !== undefined) this.postMortem.threadGone(domain);
    this.aftermath.threadGone(row, domain?.index);
  }

  vcpuEnded(domain: DomainRun): void {
    if (!domain.settled || this.ended.includes(domain)) return;
    this.drain();
    this.ended.push(domain);
    this.host.machine.clearStopMarks(domain.index);
    this.postMortem.threadGone(domain);
    this.aftermath.soon(() => this.announceEnd(domain));
    this.aftermath.domainEnded(domain.domain);
    if (this.ended.length === this.host.domains.length) this.finish();
    else this.seeDaemonsOut();
  }

  /** When daemons alone are left: they are stopped when they sleep, or have had their time. */
  private seeDaemonsOut(): void {
    const left = this.host.domains.filter((domain) => !this.ended.includes(domain));
    if (this.daemonLook !== undefined || left.some(({ plan }) => !plan.daemon)) return;
    const untilMs = performance.now() + DAEMON_GRACE_MS;
    const look = (): void => {
      const daemons = left.filter(({ settled, ending }) => !settled && !ending);
      if (performance.now() < untilMs && !areAsleep(this.host.machine, daemons)) return;
      for (const daemon of daemons) daemon.end(causeWord(Cause.STOPPED));
      clearInterval(this.daemonLook);
    };
    this.daemonLook = setInterval(() => this.aftermath.attempt(look), DAEMON_LOOK_INTERVAL_MS);
    this.aftermath.attempt(look);
  }

  deviceFailed(name: string, error: ErrorData): void {
    const message = `device '${name}': ${error.name}: ${error.message}`;
    const cause = { ...error, ...(error.stack && { stack: this.host.mapStack(error.stack) }) };
    this.deviceFailure ??= { kind: 'device', message, cause };
    this.abort(message);
  }

  timerFailed(error: Error): void {
    this.abort(`the timer thread failed: ${error.message}`);
  }

  private abort(message: string): void {
    for (const domain of this.host.domains) {
      if (!domain.settled) this.end(domain, causeWord(Cause.ABORTED), { reason: 'aborted', message });
    }
  }

  /** Ends a domain for a reason that this thread found, unless it is ending already. */
  private end(domain: DomainRun, cause: number, exit: DomainExit): void {
    if (!domain.ending) this.postMortem.look(domain);
    domain.end(cause, exit);
  }

  /**
   * Unless the domain simply completed: gives back what it used of others' grants, as a toolstack's destroy does, then tells the handler of
   * VIRQ_DOM_EXC. May be done twice.
   */
  private announceEnd(domain: DomainRun): void {
    const { grants, sched } = this.host.machine.hypervisor;
    if (domain.exit().reason === 'completed') return;
    sched.shutdownDomain(domain.domain, SHUTDOWN_crash);
    grants.release(domain.domain);
    sched.finaliseShutdown(domain.domain);
  }

  /** A thread has armed the first timer, or has written something. */
  private onNews(): void {
    this.drain();
    this.serveTimers();
  }

  /** A machine in which no timer is ever armed does without a timer thread. */
  private serveTimers(): void {
    if (this.host.machine.control.timerWanted) this.crew.startTimer();
  }

  /** What has to be looked at from time to time. */
  private look(): void {
    const { domains } = this.host;
    const nowMs = performance.now();
    this.drain();
    this.serveTimers();
    this.calibrate(nowMs);
    this.watchdog.tick(nowMs, domains);
    for (const domain of domains.filter(({ settled }) => !settled)) {
      if (!domain.ending) this.lookForHang(domain);
      else this.pressOn(domain, domain.endingForMs(nowMs));
    }
    this.lookForDeadlock();
    this.reportProgress(nowMs);
  }

  /** Repeats the request to leave, and in the end ends the threads that do not heed it. */
  private pressOn(domain: DomainRun, endingForMs: number): void {
    const { machine } = this.host;
    machine.stopVcpus(domain.index);
    for (const vcpu of domain.unsettled()) {
      const graceMs = machine.control.inHypervisor(domain.slot(vcpu)) ? HYPERVISOR_GRACE_MS : GRACE_MS;
      if (endingForMs >= graceMs) this.crew.terminate(domain, vcpu);
    }
  }

  private lookForHang(domain: DomainRun): void {
    const stuck = this.watchdog.look(domain);
    if (stuck === undefined) return;
    this.end(domain, causeWord(Cause.HANG, stuck.vcpu), { reason: 'hang', ...stuck });
    // It would not heed a request to leave.
    this.crew.terminate(domain, stuck.vcpu);
  }

  private lookForDeadlock(): void {
    if (this.options.onDeadlock === 'wait' || this.crew.devicesRunning > 0 || !this.input.finished) return;
    const living = this.host.domains.filter(({ settled }) => !settled);
    if (!isDeadlocked(this.host.machine, living)) return;
    const broken = brokenAtRest(this.plan, this.host.machine.hypervisor, 'quiescence');
    for (const domain of living.filter(({ plan }) => !plan.daemon)) {
      const found = broken === undefined ? '' : `; ${broken}`;
      const message = `${describeSleepers(domain)}, and nothing is left that could wake it${found}`;
      this.end(domain, causeWord(Cause.DEADLOCK), { reason: 'deadlock', message });
    }
  }

  /** Lets vCPUs publish a newer vcpu_time_info when they are switched in next. */
  private calibrate(nowMs: number): void {
    if (nowMs - this.lastCalibrationMs < CALIBRATION_INTERVAL_MS) return;
    this.lastCalibrationMs = nowMs;
    this.host.machine.hypervisor.time.calibrate();
  }

  private reportProgress(nowMs: number): void {
    const { onProgress } = this.options;
    if (onProgress === undefined || nowMs - this.lastProgressMs < PROGRESS_INTERVAL_MS) return;
    this.lastProgressMs = nowMs;
    this.guarded(() => onProgress(progressOf(this.host)));
  }

  private drain(): void {
    this.guarded(() => this.output.drain());
  }

  /** Runs code that calls the user's callbacks. The first error ends the run and is what run() rejects with. */
  private guarded(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.callbackError ??= { thrown };
      this.abort(`a callback of the run threw: ${toError(thrown).message}`);
    }
  }

  private conclude(): RunResult {
    const domains = this.host.domains.map((domain) => domain.result(this.postMortem.stateOf(domain)));
    const inOrder = this.ended.map(({ index }) => domains[index]).filter((domain) => domain !== undefined);
    const result: RunResult = {
      scenario: this.plan.scenario.name,
      engine: 'threads',
      elapsedMs: performance.now() - this.host.startMs,
      seed: this.options.seed,
      domains,
      failure: this.deviceFailure ?? failureOfDomains(inOrder) ?? this.lookAtInvariants() ?? this.runCheck(),
    };
    if (result.failure !== null) this.options.onDump?.(this.postMortem.dump(result));
    return result;
  }

  private lookAtInvariants(): RunFailure | undefined {
    const broken = brokenAtRest(this.plan, this.host.machine.hypervisor, 'end');
    return broken === undefined ? undefined : { kind: 'invariant', message: broken };
  }

  private runCheck(): RunFailure | null {
    const { domains, mapStack, views } = this.host;
    const resultsOf = Object.fromEntries(domains.map((domain) => [domain.name, domain.results()]));
    try {
      this.plan.scenario.check?.(checkContext(views, this.plan.args, resultsOf));
      return null;
    } catch (thrown) {
      const cause = errorData(toError(thrown), mapStack);
      return { kind: 'check', message: `check: ${cause.message}`, cause };
    }
  }
}
