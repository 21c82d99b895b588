/** How far a run has come, read from the control words while its threads run. */
import { PauseFlag } from '../../hypervisor/platform';
import type { DomainRun } from './domain-run';
import type { MachineHost } from './machine-host';
import type { DomainProgress, RunProgress, VcpuProgress } from './run-options';

/** The figures of this moment. They are read one after the other while they change. */
export function progressOf(host: MachineHost): RunProgress {
  return {
    elapsedMs: performance.now() - host.startMs,
    domains: host.domains.map((domain) => domainProgress(host, domain)),
  };
}

function domainProgress(host: MachineHost, domain: DomainRun): DomainProgress {
  const { control } = host.machine;
  const vcpus = domain.domain.vcpus.map(({ vcpuId: id }) => {
    const slot = domain.slot(id);
    return {
      id,
      state: stateOf(host, domain, id),
      upcalls: control.upcalls(slot),
      hypercalls: control.hypercalls(slot),
      events: control.eventsFor(slot),
    };
  });
  return { name: domain.name, vcpus };
}

function stateOf(host: MachineHost, domain: DomainRun, vcpu: number): VcpuProgress['state'] {
  const { control } = host.machine;
  const slot = domain.slot(vcpu);
  if (control.isFinished(slot)) return 'finished';
  if (control.threadOf(slot) === 0) return 'starting';
  const flags = domain.pauseFlags(vcpu);
  if ((flags & PauseFlag.DOWN) !== 0) return 'offline';
  return (flags & PauseFlag.BLOCKED) === 0 ? 'running' : 'blocked';
}
