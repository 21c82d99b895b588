/** The short form of a domain's state: what its exit tells, without a dump. */
import { rangesOf } from './onlooker';
import type { DomainSnapshot, VcpuSnapshot } from './schema';

/** How a domain was when it ended badly. */
export interface DomainState {
  readonly vcpus: readonly VcpuSummary[];
  /** Event channels in use. */
  readonly channels: number;
  /** Ports of these that were pending, as ranges: `3,64-95`; and those of them that were masked. */
  readonly pending: string;
  readonly pendingMasked: string;
  /** Locks of the hypervisor's that were held. */
  readonly locks: readonly string[];
}

export interface VcpuSummary extends Pick<VcpuSnapshot, 'id' | 'state'> {
  /** The port it polled, -1 for several. */
  readonly pollPort?: number;
  readonly upcallPending: boolean;
  readonly upcallMasked: boolean;
}

export function summarise(domain: DomainSnapshot): DomainState {
  const byPort = new Map(domain.channels.map((channel) => [channel.port, channel]));
  const ports = (domain.channels.at(-1)?.port ?? -1) + 1;
  return {
    vcpus: domain.vcpus.map(({ id, state, pollPort, upcallPending, upcallMask }) => ({
      id,
      state,
      ...(pollPort === 0 ? {} : { pollPort }),
      upcallPending: upcallPending !== 0,
      upcallMasked: upcallMask !== 0,
    })),
    channels: domain.channels.length + domain.omittedChannels,
    pending: rangesOf(ports, (port) => byPort.get(port)?.pending === true),
    pendingMasked: rangesOf(ports, (port) => byPort.get(port)?.pending === true && byPort.get(port)?.masked === true),
    locks: domain.locks.map(({ name }) => name),
  };
}
