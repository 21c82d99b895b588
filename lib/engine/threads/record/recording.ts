/** A recorded run as its threads left it: what they noted, and the machine's memory before and after. */
import type { Hypervisor } from '../../../hypervisor/hypervisor';
import type { MachineImage } from '../../../hypervisor/image';
import type { MachinePlan } from '../../machine-plan';
import { createAccessLog, readAccessLogs, type ThreadLog } from './access-log';

export type ThreadKind = 'vcpu' | 'timer' | 'device' | 'host';

/** A thread of the run; the host's own last. */
export interface RecordedThread {
  readonly name: string;
  readonly kind: ThreadKind;
}

export interface Recording {
  readonly plan: MachinePlan;
  /** Over memory as the run left it. */
  readonly hypervisor: Hypervisor;
  /** In the order of rows: the vCPUs of all domains, the timer, devices, the host. */
  readonly threads: readonly RecordedThread[];
  readonly logs: readonly ThreadLog[];
  /** Memory before the first thing that happened. @param region - see regionOf */
  readonly startOfDay: (region: number) => Uint8Array;
}

/** Records of one run, and what they are about. */
export class RecordKeeper {
  readonly log: SharedArrayBuffer;
  private readonly threads: readonly RecordedThread[];
  /** By region: of each domain the guest's memory, then the hypervisor's. */
  private before: readonly Uint8Array[] = [];

  /** @param kept - newest records of each thread */
  constructor(
    private readonly plan: MachinePlan,
    kept: number,
  ) {
    const several = plan.domains.length > 1;
    const vcpus = plan.domains.flatMap(({ name, config }) =>
      Array.from({ length: config.vcpus }, (_, vcpu) => `${several ? `${name}/` : ''}vCPU ${vcpu}`),
    );
    this.threads = [
      ...vcpus.map((name) => ({ name, kind: 'vcpu' }) as const),
      { name: 'timer', kind: 'timer' },
      ...Object.keys(plan.scenario.devices ?? {}).map((name) => ({ name: `device ${name}`, kind: 'device' }) as const),
      { name: 'host', kind: 'host' },
    ];
    this.log = createAccessLog(this.threads.length, kept);
  }

  /** The machine is set up, and nothing runs yet. */
  begin({ domains }: MachineImage): void {
    this.before = domains.flatMap(({ guest, private: state }) =>
      [guest, state].map((each) => new Uint8Array(each).slice()),
    );
  }

  /** Everything has ended. */
  finish(hypervisor: Hypervisor): Recording {
    const startOfDay = (region: number): Uint8Array => this.before[region] ?? new Uint8Array();
    return { plan: this.plan, hypervisor, threads: this.threads, logs: readAccessLogs(this.log), startOfDay };
  }
}
