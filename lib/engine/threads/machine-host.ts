/**
 * A machine as the main thread holds it: its memory, its own hypervisor over it, an account of each domain, and what
 * the threads of the run are sent.
 */
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { createMachineImage } from '../../hypervisor/image';
import { initialiseMachine } from '../../hypervisor/start-of-day';
import { openPatientMemory } from '../../memory/patient-memory';
import { ScenarioError, toError } from '../errors';
import type { MachinePlan } from '../machine-plan';
import type { ToolstackDomain } from '../scenario';
import { mapStack, type ScenarioSource } from '../scenario-source';
import { connectServices, setupStore } from '../service-plan';
import { describeDomains, setupContext, toolstackDomains } from '../toolstack';
import { initialiseWords } from '../words';
import { monotonicNs } from './clock';
import { createControlBuffers } from './control';
import type { DeviceTask } from './device-thread';
import { openForCalls } from './disk-files';
import { DomainRun } from './domain-run';
import { createEdgeTable } from './edges';
import { MachineThread } from './machine-thread';
import { createOutputRing } from './output-ring';
import { RecordKeeper } from './record/recording';
import type { CheckedRunOptions } from './run-options';
import type { TimerTask } from './timer-thread';
import type { VcpuTask } from './vcpu-thread';

export class MachineHost {
  readonly runId = randomUUID();
  readonly startMs = performance.now();
  readonly machine: MachineThread;
  readonly domains: readonly DomainRun[];
  /** For set-up and check. */
  readonly views: Readonly<Record<string, ToolstackDomain>>;
  readonly deviceNames: readonly string[];
  readonly output = createOutputRing();
  /** vCPUs of all domains. */
  readonly vcpus: number;
  /** Present if the run is recorded. */
  readonly record: RecordKeeper | undefined;
  /** Row of the main thread. */
  readonly ownRow: number;
  private readonly common: Omit<TimerTask, 'row'>;

  constructor(
    readonly plan: MachinePlan,
    private readonly source: ScenarioSource,
    private readonly options: CheckedRunOptions,
  ) {
    const configs = plan.domains.map(({ config }) => config);
    const wallclockMs = Date.now();
    this.vcpus = configs.reduce((sum, config) => sum + config.vcpus, 0);
    this.deviceNames = Object.keys(plan.scenario.devices ?? {});
    // Rows of the table of events: the vCPUs, the timer thread, the devices, the main thread.
    this.ownRow = this.vcpus + 1 + this.deviceNames.length;
    this.record = options.record === undefined ? undefined : new RecordKeeper(plan, options.record);
    this.common = {
      runId: this.runId,
      image: createMachineImage(configs, {
        ...plan.machine,
        wallclockSec: Math.floor(wallclockMs / 1000),
        wallclockNsec: (wallclockMs % 1000) * 1e6,
      }),
      control: createControlBuffers({ vcpus: this.vcpus, domains: configs.length, threads: this.ownRow + 1 }),
      ...(options.control === undefined ? {} : { edges: createEdgeTable(configs, this.ownRow + 1) }),
      output: this.output,
      originNs: monotonicNs(),
      ...(this.record === undefined ? {} : { record: this.record.log }),
    };
    this.machine = new MachineThread({ ...this.common, row: this.ownRow }, undefined, openPatientMemory);
    this.machine.control.planTimer(Number.POSITIVE_INFINITY);
    this.domains = plan.domains.map((domain, index) => new DomainRun(index, domain, this.machine));
    const { hypervisor } = this.machine;
    const memoryOf = (id: number) => hypervisor.vcpu(id, 0).domain.guest;
    this.views = toolstackDomains(hypervisor, describeDomains(plan), memoryOf, openForCalls);
  }

  /** Turns positions in the bundle into those of the user's files. */
  readonly mapStack = (text: string): string => mapStack(this.source, text);

  /**
   * Start of day, and the scenario's own set-up.
   * @throws ScenarioError SCENARIO_THROWS if that throws
   */
  setUp(): void {
    initialiseMachine(this.machine.hypervisor);
    for (const { plan, domain } of this.domains) initialiseWords(domain.guest, plan.words);
    const { args, scenario, services } = this.plan;
    connectServices(services, this.views);
    try {
      scenario.setup?.(setupContext(this.views, args, setupStore(this.plan, this.views)));
    } catch (thrown) {
      const error = toError(thrown);
      const message = `scenario '${scenario.name}': setup throws: ${error.name}: ${error.message}`;
      throw new ScenarioError('SCENARIO_THROWS', message, { cause: error });
    }
    this.machine.recorder?.restart();
    this.record?.begin(this.common.image);
  }

  vcpuTask(domain: DomainRun, vcpuId: number): VcpuTask {
    const { guestDomain, words } = domain.plan;
    return {
      ...this.common,
      ...this.guestCode(),
      row: domain.slot(vcpuId),
      domainIndex: domain.index,
      vcpuId,
      guestDomain,
      words: words.table,
      haltPolling: this.options.haltPolling ?? this.vcpus <= availableParallelism(),
    };
  }

  /** @param index - of the device in {@link deviceNames} */
  deviceTask(name: string, index: number): DeviceTask {
    const { args } = this.plan;
    const row = this.vcpus + 1 + index;
    return { ...this.common, ...this.guestCode(), row, name, index, args, domains: describeDomains(this.plan) };
  }

  timerTask(): TimerTask {
    return { ...this.common, row: this.vcpus };
  }

  /** Stacks are mapped on this thread, so the threads need no source map. */
  private guestCode(): Pick<VcpuTask, 'source' | 'scenarioIndex' | 'seed'> {
    const source = { ...this.source, map: '' };
    return { source, scenarioIndex: this.plan.scenario.origin.index, seed: this.options.seed };
  }
}
