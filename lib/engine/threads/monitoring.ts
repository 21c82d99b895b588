/** What a machine on threads tells on its control socket. Read from shared memory on the thread that conducts the run. */

import type { MachinePlan } from '../machine-plan';
import type { MachineReport } from '../monitor/protocol';
import type { ReportSource } from '../monitor/server';
import type { MachineThread } from './machine-thread';
import { MachineOnlooker } from './onlooking';

export interface Monitored {
  readonly plan: MachinePlan;
  readonly machine: MachineThread;
  readonly engine: MachineReport['engine'];
  readonly seed: number;
  readonly startMs: number;
  /** Stress: iterations that are over. */
  readonly iterations?: () => number;
}

export function reportSource({ plan, machine, engine, seed, startMs, iterations }: Monitored): ReportSource {
  const onlooker = new MachineOnlooker(plan, machine);
  const edges = machine.edgeTable();
  return (channels) => ({
    scenario: plan.scenario.name,
    engine,
    seed,
    elapsedNs: (performance.now() - startMs) * 1e6,
    ...(iterations === undefined ? {} : { iterations: iterations() }),
    domains: plan.domains.map((_, index) => {
      const edgesOf = edges && ((port: number) => edges.sum(index, port));
      const domain = onlooker.domain(index, { channels, edgesOf });
      return { ...domain, vcpus: domain.vcpus.map((vcpu) => ({ ...vcpu, ...figures(machine, index, vcpu.id) })) };
    }),
  });
}

function figures(machine: MachineThread, domain: number, vcpu: number) {
  const { control } = machine;
  const slot = machine.slotOf(domain, vcpu);
  return { upcalls: control.upcalls(slot), hypercalls: control.hypercalls(slot), events: control.eventsFor(slot) };
}
