/**
 * The threads of one run: started, ended if need be, and waited for. What their ends mean is for the run to say.
 */
import { toError } from '../errors';
import { type ErrorData, errorData } from '../run-result';
import type { DeviceOutcome } from './device-thread';
import type { DomainRun } from './domain-run';
import type { MachineHost } from './machine-host';
import type { WorkerPool } from './pool';
import type { VcpuOutcome } from './vcpu-thread';

/** Called on the main thread. */
export interface CrewEvents {
  /** A vCPU's thread has ended, one way or the other; the domain knows how. */
  vcpuEnded(domain: DomainRun): void;
  deviceFailed(name: string, error: ErrorData): void;
  timerFailed(error: Error): void;
}

export class Crew {
  /** Devices that have not returned. */
  devicesRunning = 0;
  private timer: Promise<void> | undefined;
  /** By slot of the vCPU: ends its thread. */
  private readonly controllers = new Map<number, AbortController>();
  private readonly terminated = new Set<number>();
  /** To be waited for at the end: devices, and threads that are being ended. */
  private readonly leaving: Promise<void>[] = [];

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
    this.timer ??= this.pool.run('timer', this.host.timerTask()).then(
      () => {},
      (error: unknown) => this.events.timerFailed(toError(error)),
    );
  }

  /** Every vCPU's thread runs. */
  get allStarted(): boolean {
    const { control } = this.host.machine;
    return this.host.domains.every((domain) =>
      domain.unsettled().every((vcpu) => control.threadOf(domain.slot(vcpu)) !== 0),
    );
  }

  /** Ends the thread of a vCPU that does not leave by itself. */
  terminate(domain: DomainRun, vcpu: number): void {
    const slot = domain.slot(vcpu);
    const thread = this.host.machine.control.threadOf(slot);
    const controller = this.controllers.get(slot);
    if (thread === 0 || controller === undefined || this.terminated.has(slot)) return;
    this.terminated.add(slot);
    this.leaving.push(this.pool.terminate(thread, controller));
  }

  /** Switches devices and timers off; resolves when no thread of the run is left. All vCPUs have ended. */
  async dismiss(): Promise<void> {
    const { control } = this.host.machine;
    control.stopHardware();
    await Promise.all(this.leaving);
    // A timer thread that is still starting finds later that there is nothing to do; nobody waits for that.
    if (control.timerRuns) await this.timer;
  }

  private startVcpu(domain: DomainRun, vcpu: number): void {
    const controller = new AbortController();
    this.controllers.set(domain.slot(vcpu), controller);
    this.pool
      .run('vcpu', this.host.vcpuTask(domain, vcpu), controller.signal)
      .then(
        (outcome) => domain.settle(vcpu, outcome as VcpuOutcome),
        (error) => domain.lose(vcpu, error),
      )
      .finally(() => this.events.vcpuEnded(domain));
  }

  private startDevice(name: string, index: number): void {
    this.devicesRunning++;
    const done = this.pool
      .run('device', this.host.deviceTask(name, index))
      .catch((error): DeviceOutcome => ({ kind: 'failed', error: errorData(toError(error)) }))
      .then((outcome) => {
        this.devicesRunning--;
        const ended = outcome as DeviceOutcome;
        if (ended.kind === 'failed') this.events.deviceFailed(name, ended.error);
      });
    this.leaving.push(done);
  }
}
