/** A hardware actor of a scenario on its own worker thread. */
import { format } from 'node:util';
import { threadId } from 'node:worker_threads';
import { toError } from '../errors';
import { type ErrorData, errorData } from '../run-result';
import { type Device, freezeData, type ToolstackDomain } from '../scenario';
import { evaluateScenario, type ScenarioSource } from '../scenario-source';
import { type DomainDescription, firstDomain, toolstackDomains } from '../toolstack';
import { openForCalls } from './disk-files';
import { type MachineTask, MachineThread } from './machine-thread';
import { RandomStream } from './random';
import { LogKind } from './record/access-log';
import { threadEntryPoints } from './thread-entry-points';

export interface DeviceTask extends MachineTask {
  readonly source: ScenarioSource;
  readonly scenarioIndex: number;
  readonly name: string;
  /** Number of the device in the scenario. */
  readonly index: number;
  readonly args: unknown;
  readonly domains: readonly DomainDescription[];
  readonly seed: number;
}

export type DeviceOutcome = { readonly kind: 'returned' } | { readonly kind: 'failed'; readonly error: ErrorData };

/** In records of log lines: from a device, not from a domain. The vCPU of the record is the device's number. */
export const DEVICE_DOMAIN = -1;

/** Unwinds a device when the machine stops. */
class PowerOff {
  readonly message = 'the machine is being switched off: rethrow what you do not know';
}
const POWER_OFF = new PowerOff();

export class ThreadDevice implements Device {
  readonly name: string;
  readonly args: unknown;
  readonly domains: Readonly<Record<string, ToolstackDomain>>;
  private readonly numbers: RandomStream;

  constructor(
    private readonly task: DeviceTask,
    private readonly machine: MachineThread,
  ) {
    this.name = task.name;
    this.args = freezeData(task.args);
    const { hypervisor } = this.machine;
    const memoryOf = (id: number) => hypervisor.vcpu(id, 0).domain.guest;
    this.domains = toolstackDomains(hypervisor, task.domains, memoryOf, openForCalls);
    this.numbers = new RandomStream(task.seed, task.row);
  }

  get domain(): ToolstackDomain {
    return firstDomain(this.domains);
  }

  raisePirq(pirq: number): void {
    this.leaveIfStopped();
    this.machine.hypervisor.raisePirq(pirq);
  }

  pirqInService(pirq: number): boolean {
    this.leaveIfStopped();
    return this.machine.hypervisor.pirqInService(pirq);
  }

  raiseVirq(domain: number, vcpu: number, virq: number): void {
    this.leaveIfStopped();
    this.machine.hypervisor.sendVcpuVirq(this.machine.hypervisor.vcpu(domain, vcpu), virq);
  }

  raiseGlobalVirq(virq: number): void {
    this.leaveIfStopped();
    this.machine.hypervisor.sendGlobalVirq(virq);
  }

  consoleInput(text: string | Uint8Array): void {
    this.leaveIfStopped();
    this.machine.hypervisor.consoleInput(typeof text === 'string' ? Buffer.from(text) : text);
  }

  sleep(ns: number): void {
    this.leaveIfStopped();
    this.machine.recorder?.mark(LogKind.SLEEP);
    this.machine.control.sleepDevice(ns);
    this.leaveIfStopped();
    this.machine.recorder?.mark(LogKind.WAKE);
  }

  now(): number {
    this.leaveIfStopped();
    return this.machine.clock.now();
  }

  choose(n: number): number {
    if (!Number.isInteger(n) || n < 1) throw new RangeError(`choose: n must be an integer of at least 1, not ${n}`);
    return this.numbers.below(n);
  }

  random(): number {
    return this.numbers.next();
  }

  log(...values: unknown[]): void {
    this.leaveIfStopped();
    this.machine.log(DEVICE_DOMAIN, this.task.index, format(...values));
  }

  private leaveIfStopped(): void {
    if (this.machine.control.hardwareStopped) throw POWER_OFF;
  }
}

/** Runs one device until it returns or the machine stops. The task of a worker thread. */
export function runDevice(task: DeviceTask): DeviceOutcome {
  const machine = new MachineThread(task);
  machine.control.markStarted(task.row, threadId);
  return deviceOutcome(() => deviceFunction(task)(new ThreadDevice(task, machine)));
}

/** @throws Error if the scenario has no such device */
export function deviceFunction(task: DeviceTask): (device: Device) => void {
  const scenario = evaluateScenario(task.source, { index: task.scenarioIndex, entryPoints: threadEntryPoints });
  const run = scenario.devices?.[task.name];
  if (run === undefined) throw new Error(`${task.source.file} has no device '${task.name}'`);
  return run;
}

/** @param run - the device's function; that the machine is switched off meanwhile is no failure */
export function deviceOutcome(run: () => void): DeviceOutcome {
  try {
    run();
    return { kind: 'returned' };
  } catch (thrown) {
    return thrown === POWER_OFF ? { kind: 'returned' } : { kind: 'failed', error: errorData(toError(thrown)) };
  }
}
