/**
 * The threads of one run: started, ended if need be, and waited for. What their ends mean is for the run to say.
 */
import { setTimeout } from 'node:timers/promises';
import { toError } from '../errors';
import { type ErrorData, errorData } from '../run-result';
import type { DeviceOutcome } from './device-thread';
import type { DomainRun } from './domain-run';
import type { MachineHost } from './machine-host';
import type { MachineTask } from './machine-thread';
import type { ThreadRole, WorkerPool } from './pool';
import type { VcpuOutcome } from './vcpu-thread';

/** How long devices and timers have time to find out that they are switched off. */
const HARDWARE_GRACE_MS = 400;

/** Called on the main thread. */
export interface CrewEvents {
  /**
   * A thread has gone without finishing its task.
   * @param domain - whose vCPU it ran, if it was one's
   */
  threadGone(row: number, domain?: DomainRun): void;
  /** A vCPU's thread has ended, one way or the other; the domain knows how. */
  vcpuEnded(domain: DomainRun): void;
  deviceFailed(name: string, error: ErrorData): void;
  timerFailed(error: Error): void;
}

export class Crew {
  /** Devices that have not returned. */
  devicesRunning = 0;
  /** By row: ends the thread. */
  private readonly controllers = new Map<number, AbortController>();
  /** By row: settles when the thread is done, or gone. */
  private readonly hardware = new Map<number, Promise<void>>();
  /** Rows of threads that were ended. */
  private readonly terminated = new Set<number>();
  private readonly terminations: Promise<void>[] = [];

  constructor(
    private readonly host: MachineHost,
    private readonly pool: WorkerPool,
    private readonly events: CrewEvents,
  ) {}

  /** Starts a thread for each vCPU and device. */
  start(): void {
    for (const domain of this.host.domains) {
      for (const vcpu of domain.unsettled()) this.startVcpu(domain, vcpu);
    }
    for (const [index, name] of this.host.deviceNames.entries()) this.startDevice(name, index);
  }

  /** Starts the timer thread, once. */
  startTimer(): void {
    const task = this.host.timerTask();
    if (this.hardware.has(task.row)) return;
    const done = this.launch('timer', task).then(
      () => {},
      (error: unknown) => {
        this.events.threadGone(task.row);
        if (!this.terminated.has(task.row)) this.events.timerFailed(toError(error));
      },
    );
    this.hardware.set(task.row, done);
  }

  /** Ends the thread of a vCPU that does not leave by itself. */
  terminate(domain: DomainRun, vcpu: number): void {
    this.terminateRow(domain.slot(vcpu));
  }

  /** Switches devices and timers off; resolves when no thread of the run is left. All vCPUs have ended. */
  async dismiss(): Promise<void> {
    const { control } = this.host.machine;
    control.stopHardware();
    // A thread that is still starting finds later that there is nothing to do; nobody waits for that.
    const running = [...this.hardware].filter(([row]) => control.threadOf(row) !== 0);
    const grace = new AbortController();
    const outOfTime = setTimeout(HARDWARE_GRACE_MS, undefined, { signal: grace.signal }).then(
      () => {
        for (const [row] of running) this.terminateRow(row);
      },
      () => {},
    );
    await Promise.race([Promise.all(running.map(([, done]) => done)), outOfTime]);
    grace.abort();
    await Promise.all([...this.terminations, ...running.map(([, done]) => done)]);
  }

  /** Runs a thread's task. Rejects if the thread ends before the task does, when it has gone. */
  private async launch(role: ThreadRole, task: MachineTask): Promise<unknown> {
    const controller = new AbortController();
    this.controllers.set(task.row, controller);
    try {
      return await this.pool.run(role, task, controller.signal);
    } catch (error) {
      await this.pool.gone(this.host.machine.control.threadOf(task.row));
      throw error;
    }
  }

  private terminateRow(row: number): void {
    const thread = this.host.machine.control.threadOf(row);
    const controller = this.controllers.get(row);
    if (thread === 0 || controller === undefined || this.terminated.has(row)) return;
    this.terminated.add(row);
    this.terminations.push(this.pool.terminate(thread, controller));
  }

  private startVcpu(domain: DomainRun, vcpu: number): void {
    this.launch('vcpu', this.host.vcpuTask(domain, vcpu))
      .then(
        (outcome) => domain.settle(vcpu, outcome as VcpuOutcome),
        (error) => {
          domain.lose(vcpu, error);
          this.events.threadGone(domain.slot(vcpu), domain);
        },
      )
      .finally(() => this.events.vcpuEnded(domain));
  }

  private startDevice(name: string, index: number): void {
    this.devicesRunning++;
    const task = this.host.deviceTask(name, index);
    const done = this.launch('device', task)
      .catch((error): DeviceOutcome => {
        this.events.threadGone(task.row);
        return { kind: 'failed', error: errorData(toError(error)) };
      })
      .then((outcome) => {
        this.devicesRunning--;
        const ended = outcome as DeviceOutcome;
        if (ended.kind === 'failed' && !this.terminated.has(task.row)) this.events.deviceFailed(name, ended.error);
      });
    this.hardware.set(task.row, done);
  }
}
