/**
 * A stress session as the main thread conducts it: boots a machine once, lets its threads iterate by themselves, looks
 * after iterations that come to no end, and collects what failed.
 *
 * A session ends when its conductor says so, or when a thread is lost: the thread has died, or its guest does not leave, though
 * told to, for as long as an iteration may take. Then the iteration has failed, by what ended it or by the loss, the other
 * threads are dismissed, and the stress goes on with another session.
 */
import { availableParallelism } from 'node:os';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { toError } from '../../errors';
import { typeScripts } from '../../host-consoles';
import type { DomainPlan, MachinePlan } from '../../machine-plan';
import type { ReportSource } from '../../monitor/server';
import { errorData } from '../../run-result';
import type { ScenarioSource } from '../../scenario-source';
import type { DomainSnapshot } from '../../snapshot/schema';
import { Cause, causeWord } from '../exits';
import { MachineHost } from '../machine-host';
import { reportSource } from '../monitoring';
import { MachineOnlooker } from '../onlooking';
import type { StressRole, WorkerPool } from '../pool';
import { createAccessLog, readAccessLogs } from '../record/access-log';
import { brokenAtRest } from '../resting-invariants';
import { createColdMemory } from './chaos';
import { Findings } from './findings';
import type { CheckedStressOptions, StressFailure } from './options';
import { createResults } from './results';
import {
  type ConductorTask,
  type IterationReport,
  type LastReport,
  type Report,
  StressMachine,
  type StressTask,
} from './session';
import { describeUnfinished, isStill, unfinished } from './stillness';
import { createStressWords } from './words';

const LOOK_INTERVAL_MS = 10;
/** How long threads have time to leave, at least. Whoever is ended after that was of no use any more. */
const GRACE_MS = 400;
/** Iterations of one session at most: their number is a word. */
const MOST_ITERATIONS = 1e9;
/** One look adds no more than this to an iteration's time: a process that was suspended makes nobody late. */
const MAX_STEP_MS = 100;

interface Thread {
  readonly row: number;
  readonly name: string;
  readonly controller: AbortController;
  /** Settles when the thread is done, or gone. */
  readonly over: Promise<void>;
  /** Settles when all of its reports are here. */
  readonly heard: Promise<void>;
  readonly port: MessagePort;
  done: boolean;
}

/** What came before a session. */
export interface Earlier {
  readonly iterations: number;
  readonly failures: number;
}

export class StressSession {
  private readonly host: MachineHost;
  private readonly machine: StressMachine;
  private readonly stress: StressTask;
  private readonly threads: Thread[] = [];
  private readonly findings: Findings;
  private readonly onlooker: MachineOnlooker;
  private readonly terminations: Promise<void>[] = [];
  /** The iteration looked at last; for how long it runs, is ending, and has kept the gate. */
  private watched = 0;
  private runningMs = 0;
  private endingMs = 0;
  /** For how long the session is over. */
  private overMs = 0;
  private gateMs = 0;
  private lastLookMs = performance.now();
  /** The iteration that was given up. */
  private lost: number | undefined;

  constructor(
    private readonly plan: MachinePlan,
    source: ScenarioSource,
    private readonly pool: WorkerPool,
    private readonly options: CheckedStressOptions,
    private readonly earlier: Earlier,
  ) {
    const { seed, chaos } = options;
    // A machine that is quiet unless a guest does something: as under the deterministic engines, or none would come to rest.
    const quiet = { ...plan, domains: plan.domains.map(withoutTicks) };
    const host = new MachineHost(quiet, source, { ...options, onDeadlock: 'exit', onProgress: undefined });
    const { vcpus, deviceNames } = host;
    this.host = host;
    this.stress = {
      words: createStressWords(vcpus),
      log: createAccessLog(vcpus),
      results: createResults(vcpus),
      alone: vcpus + deviceNames.length <= availableParallelism(),
      cold: chaos ? createColdMemory() : undefined,
      seed,
      before: earlier.iterations,
    };
    this.machine = new StressMachine({ ...host.timerTask(), output: undefined, stress: this.stress });
    this.findings = new Findings(host, seed);
    this.onlooker = new MachineOnlooker(quiet, this.machine);
  }

  /** Iterations that are over. */
  get iterations(): number {
    return Math.max(this.machine.words.completed, this.lost ?? 0);
  }

  get failures(): readonly StressFailure[] {
    return this.findings.failures;
  }

  /** What its machine tells on a control socket. */
  reportSource(): ReportSource {
    const { plan, machine, host, options } = this;
    const iterations = () => this.iterations + this.earlier.iterations;
    const { seed } = options;
    const source = reportSource({ plan, machine, engine: 'stress', seed, startMs: host.startMs, iterations });
    return (channels) => {
      this.setClock();
      return source(channels);
    };
  }

  /** Ends the session when the iteration that runs is over. */
  stop(): void {
    this.machine.words.requestStop();
  }

  /** @throws ScenarioError if the scenario's set-up throws; nothing has been started then */
  async run(): Promise<void> {
    this.host.setUp();
    typeScripts(this.host.plan.services, this.host.views);
    this.start();
    const look = setInterval(() => this.look(), LOOK_INTERVAL_MS);
    const timers = this.threads.slice(-1);
    await Promise.all(this.threads.slice(0, -1).map(({ over }) => over));
    clearInterval(look);
    this.machine.words.end();
    this.machine.control.stopHardware();
    await Promise.all([...timers.map(({ over }) => over), ...this.terminations]);
    await Promise.all(this.threads.map(({ heard }) => heard));
    for (const { port } of this.threads) port.close();
    this.findings.finish();
    if (this.lost !== undefined) this.findings.addLost(this.describeLost(this.earlier.iterations + this.lost));
  }

  /** What the conductor would report of the iteration. */
  private describeLost(iteration: number): IterationReport {
    const { failedFirst } = this.machine.words;
    const cause = failedFirst < 0 ? 0 : this.machine.control.exitCause(failedFirst);
    const ended = failedFirst < 0 ? {} : { ended: { domain: failedFirst, cause } };
    const logs = readAccessLogs(this.stress.log);
    return { type: 'iteration', iteration, ...ended, logs, domains: this.domainsNow() };
  }

  private start(): void {
    const { host, stress, earlier } = this;
    const { vcpus, abi, events, args, iterations, maxFailures } = this.options;
    const counting = host.domains.filter(({ plan }) => !plan.daemon);
    const otherVcpus = counting.reduce((sum, { plan }) => sum + plan.config.vcpus, -1);
    const conductor: ConductorTask = {
      options: { vcpus, abi, events, args },
      otherVcpus,
      daemons: host.vcpus - 1 - otherVcpus,
      devices: host.deviceNames.length,
      iterations: Math.min(iterations - earlier.iterations, MOST_ITERATIONS),
      failures: maxFailures - earlier.failures,
    };
    const common = { output: undefined, stress };
    for (const domain of host.domains) {
      const slots = domain.unsettled().map((vcpu) => domain.slot(vcpu));
      for (const vcpu of domain.unsettled()) {
        const task = { ...host.vcpuTask(domain, vcpu), ...common, daemon: domain.plan.daemon, slots };
        const own = domain === counting[0] && vcpu === 0 ? { ...task, conductor } : task;
        this.launch('stressVcpu', task.row, own, `${domain.name}/${vcpu}`);
      }
    }
    for (const [index, name] of host.deviceNames.entries()) {
      const task = host.deviceTask(name, index);
      this.launch('stressDevice', task.row, { ...task, ...common }, `device '${name}'`);
    }
    const timer = host.timerTask();
    this.launch('stressTimer', timer.row, { ...timer, ...common }, 'the timer');
  }

  private launch(role: StressRole, row: number, task: object, name: string): void {
    const controller = new AbortController();
    const { port1, port2 } = new MessageChannel();
    const heard = new Promise<void>((resolve) => {
      port1.on('message', (report: Report | LastReport) => {
        if (report.type === 'last') resolve();
        else this.findings.add(row, report);
      });
      port1.once('close', resolve);
    });
    const over = this.pool.run(role, { ...task, port: port2 }, controller.signal, [port2]).then(
      () => this.ended(thread),
      (error: unknown) => this.ended(thread, toError(error)),
    );
    const thread: Thread = { row, name, controller, port: port1, over, heard, done: false };
    this.threads.push(thread);
  }

  private ended(thread: Thread, error?: Error): void {
    thread.done = true;
    if (error === undefined) return;
    // Also if the thread has never had its end of it.
    thread.port.close();
    if (thread.controller.signal.aborted) return;
    this.findings.threadLost(thread.name, errorData(error, this.host.mapStack));
    this.lose();
  }

  /** A thread has gone, or has to go: the session comes to its end without it. */
  private lose(): void {
    const lost = this.machine.words.abandon();
    if (lost === undefined) return;
    this.lost = lost;
    for (const { index } of this.host.domains) this.machine.endDomain(index, causeWord(Cause.ABORTED));
  }

  private look(): void {
    const { words } = this.machine;
    const nowMs = performance.now();
    const stepMs = Math.min(nowMs - this.lastLookMs, MAX_STEP_MS);
    this.lastLookMs = nowMs;
    if (words.over) {
      this.seeOut(stepMs);
      return;
    }
    const { iteration } = words;
    if (iteration !== this.watched) {
      this.watched = iteration;
      this.runningMs = this.endingMs = this.gateMs = 0;
      return;
    }
    if (iteration === 0) return;
    if (!words.tryGate()) {
      this.gateMs += stepMs;
      if (this.gateMs > this.options.watchdogMs) this.giveUp('the check does not come to an end');
      return;
    }
    try {
      if (words.iteration === this.watched) this.lookAtIteration(stepMs);
    } finally {
      words.leaveGate();
    }
  }

  private lookAtIteration(stepMs: number): void {
    const { machine } = this;
    if (machine.words.failedFirst >= 0) {
      this.endingMs += stepMs;
      for (const { index } of this.host.domains) machine.stopVcpus(index);
      if (this.endingMs > Math.max(this.options.watchdogMs, GRACE_MS)) this.giveUp();
      return;
    }
    // How long the guests take: not how long a busy machine takes to start their threads.
    if (this.allStarted()) this.runningMs += stepMs;
    if (this.devicesDone() && isStill(machine, this.host.domains)) this.endDeadlocked();
    else if (this.runningMs > this.options.watchdogMs) this.endLate();
  }

  private allStarted(): boolean {
    return this.threads.every(({ row }) => this.machine.control.threadOf(row) !== 0);
  }

  private devicesDone(): boolean {
    const { host, machine } = this;
    return host.deviceNames.every((_, index) => machine.control.isFinished(host.vcpus + 1 + index));
  }

  private endDeadlocked(): void {
    const { host, machine } = this;
    const broken = brokenAtRest(this.plan, machine.hypervisor, 'quiescence');
    const waits = describeUnfinished(machine, host.domains);
    const message = `nothing is left that could wake anyone: ${waits}${broken === undefined ? '' : `; ${broken}`}`;
    this.judge('deadlock', message);
    this.endIteration(causeWord(Cause.DEADLOCK));
  }

  private endLate(): void {
    const { host, machine } = this;
    const waits = describeUnfinished(machine, host.domains) || 'a device does not leave';
    const seconds = this.options.watchdogMs / 1000;
    this.judge('livelock', `no end after ${seconds} s (limit: watchdogMs): ${waits}`);
    if (unfinished(machine, host.domains).length === 0) this.giveUp();
    else this.endIteration(causeWord(Cause.HANG));
  }

  private judge(kind: 'deadlock' | 'livelock', message: string): void {
    this.findings.judge(this.earlier.iterations + this.watched, () => {
      return { kind, message, domains: this.domainsNow() };
    });
  }

  private domainsNow(): DomainSnapshot[] {
    this.setClock();
    return this.onlooker.all();
  }

  /** The machine's clock begins anew with each iteration. */
  private setClock(): void {
    const { clock, words } = this.machine;
    clock.restart(words.originNs);
  }

  /** The cause goes to the first domain that has a vCPU at work, daemons last, and with it the iteration ends. */
  private endIteration(cause: number): void {
    const [first] = unfinished(this.machine, this.host.domains).filter(({ domain }) => !domain.ending);
    if (first === undefined) this.giveUp();
    else this.machine.endDomain(first.domain.index, cause);
  }

  /** Somebody does not heed the request to leave. */
  private giveUp(why?: string): void {
    if (why !== undefined) this.judge('livelock', why);
    this.lose();
  }

  /** The session is over, or given up: threads that do not end are ended. */
  private seeOut(stepMs: number): void {
    this.overMs += stepMs;
    for (const { index } of this.host.domains) this.machine.stopVcpus(index);
    if (this.overMs < GRACE_MS) return;
    this.machine.control.stopDevices();
    for (const thread of this.threads) if (!thread.done) this.terminate(thread);
  }

  private terminate(thread: Thread): void {
    const id = this.machine.control.threadOf(thread.row);
    if (id === 0 || thread.controller.signal.aborted) return;
    this.terminations.push(this.pool.terminate(id, thread.controller));
  }
}

/** DIFFERS: x86 domains start with their periodic timer off (Xen: 10 ms). A guest that wants it sets it. */
function withoutTicks(domain: DomainPlan): DomainPlan {
  return { ...domain, config: { ...domain.config, periodicTimerNs: 0 } };
}
