/** What the threads of a stress session are sent, and what they report. */
import type { MessagePort } from 'node:worker_threads';
import type { ScenarioOptions } from '../../machine-plan';
import type { ErrorData } from '../../run-result';
import type { DomainSnapshot } from '../../snapshot/schema';
import type { DeviceTask } from '../device-thread';
import { Cause, causeWord, isBadEnd } from '../exits';
import { type MachineTask, MachineThread, type Sleeper } from '../machine-thread';
import type { ThreadLog } from '../record/access-log';
import type { TimerTask } from '../timer-thread';
import type { VcpuTask } from '../vcpu-thread';
import { StressWords } from './words';

/** What all threads of a session share besides the machine. */
export interface StressTask {
  /** See words.ts. */
  readonly words: SharedArrayBuffer;
  /** See access-log.ts. */
  readonly log: SharedArrayBuffer;
  /** See results.ts. */
  readonly results: SharedArrayBuffer;
  /** There is a core for each thread. */
  readonly alone: boolean;
  /** See chaos.ts; absent: no chaos. */
  readonly cold?: SharedArrayBuffer;
  readonly seed: number;
  /** Iterations before this session: its first one is number `before + 1`. */
  readonly before: number;
}

/** What the conductor alone needs. */
export interface ConductorTask {
  /** Of the scenario: it is planned again on the thread. */
  readonly options: ScenarioOptions;
  /** vCPUs besides the conductor's own, without those of daemons. */
  readonly otherVcpus: number;
  /** vCPUs of daemon domains. */
  readonly daemons: number;
  readonly devices: number;
  /** Iterations of this session at most. */
  readonly iterations: number;
  /** Failures after which the session ends. */
  readonly failures: number;
}

export interface StressVcpuTask extends VcpuTask {
  readonly stress: StressTask;
  /** Of a daemon domain. */
  readonly daemon: boolean;
  /** Slots of the domain's vCPUs. */
  readonly slots: readonly number[];
  /** The way to the main thread. */
  readonly port: MessagePort;
  /** Of the thread of the first vCPU that is no daemon's. */
  readonly conductor?: ConductorTask;
}

export type StressTimerTask = TimerTask & { readonly stress: StressTask; readonly port: MessagePort };

export interface StressDeviceTask extends DeviceTask {
  readonly stress: StressTask;
  readonly port: MessagePort;
}

/** How an iteration can fail: as an execution under a deterministic engine can. */
export type StressFailureKind = 'deadlock' | 'livelock' | 'assertion' | 'crash' | 'invariant';

/** A guest, or a device, ended its iteration as a failure. */
export interface GuestReport {
  readonly type: 'guest';
  readonly iteration: number;
  readonly kind: StressFailureKind;
  readonly error: ErrorData;
}

/** An iteration failed: sent by the conductor, after all threads have arrived. */
export interface IterationReport {
  readonly type: 'iteration';
  readonly iteration: number;
  /** Position of the domain that ended badly and the word that says why; absent if an invariant or the check failed. */
  readonly ended?: { readonly domain: number; readonly cause: number };
  readonly kind?: StressFailureKind;
  readonly error?: ErrorData;
  readonly logs: readonly ThreadLog[];
  /** As the iteration left them. */
  readonly domains: readonly DomainSnapshot[];
}

/** The last report of every thread. */
export interface LastReport {
  readonly type: 'last';
}

export type Report = GuestReport | IterationReport;

/** Seed of everything random in an iteration; that of the first one is the seed itself. */
export function iterationSeed(seed: number, iteration: number): number {
  return (seed + Math.imul(iteration - 1, 0x9e3779b1)) >>> 0;
}

/** A thread's machine. A domain that ends badly ends the iteration, and with it all domains. */
export class StressMachine extends MachineThread {
  readonly words: StressWords;
  private readonly count: number;

  constructor(
    task: MachineTask & { readonly stress: StressTask },
    sleeper?: Sleeper,
    open?: ConstructorParameters<typeof MachineThread>[2],
  ) {
    super(task, sleeper, open);
    this.words = new StressWords(task.stress.words);
    this.count = task.image.domains.length;
  }

  override endDomain(domainIndex: number, cause: number): boolean {
    if (!this.control.claimExit(domainIndex, cause)) return false;
    if (isBadEnd(cause)) this.endAll(domainIndex);
    this.stopVcpus(domainIndex);
    return true;
  }

  /** A device has failed: the iteration has, on the first domain's account. */
  failDevice(): void {
    this.endAll(0);
  }

  private endAll(failed: number): void {
    this.words.noteFailure(failed);
    for (let domain = 0; domain < this.count; domain++) this.endDomain(domain, causeWord(Cause.ABORTED));
  }
}
