/**
 * The state of a domain as data, for dumps and for who looks at a machine that runs: read as it is, without a lock, without
 * a step of anybody's, bounded whatever the guest has written.
 */
import { layoutOf } from '../../abi/layouts';
import {
  DOMAIN_ACTIVE_EVTCHNS,
  DOMAIN_IS_SHUTTING_DOWN,
  DOMAIN_POLL_MASK,
  DOMAIN_SHUTDOWN_CODE,
  DOMAIN_STATUS,
} from '../../hypervisor/state-layout';
import type { WordTable } from '../words';
import { type EdgesOf, snapshotChannels } from './channels';
import { snapshotFifo } from './fifo';
import { type Others, snapshotGrants } from './grants';
import { snapshotLocks } from './locks';
import { type Onlooker, rangesOf } from './onlooker';
import { type ServicePage, snapshotRings } from './rings';
import type { DomainSnapshot } from './schema';
import { snapshotVcpu } from './vcpus';

const STATUSES = ['alive', 'dying', 'removed'] as const;

export interface SnapshotOptions {
  /** Its named words. */
  readonly words?: WordTable;
  /** System time, where a clock runs: times spent in a state go up to it. */
  readonly nowNs?: number;
  /** Channels that are described, at most. Default all. */
  readonly channels?: number;
  /** Of the domain's ports, where somebody counts. */
  readonly edgesOf?: EdgesOf;
  /** The machine's domains, where they are at hand: without them mappings are told without their pages. */
  readonly others?: Others;
  readonly servicePages?: readonly ServicePage[];
}

export function snapshotDomain(look: Onlooker, options: SnapshotOptions = {}): DomainSnapshot {
  const { domain } = look;
  const { config } = domain;
  const { channels = Number.POSITIVE_INFINITY, edgesOf, nowNs, words = {} } = options;
  const { others = () => undefined, servicePages = [] } = options;
  const fifo = snapshotFifo(look);
  const grants = snapshotGrants(look, others);
  return {
    id: domain.id,
    name: config.name,
    abi: domain.abi,
    events: fifo === undefined ? '2l' : 'fifo',
    frames: config.frames,
    status: STATUSES[look.state(DOMAIN_STATUS)] ?? 'removed',
    shutdown: look.state(DOMAIN_IS_SHUTTING_DOWN) === 0 ? null : (look.state(DOMAIN_SHUTDOWN_CODE) - 1) >>> 0,
    validPorts: look.validPorts,
    activePorts: look.state(DOMAIN_ACTIVE_EVTCHNS),
    maxPort: config.maxPort,
    polling: rangesOf(domain.vcpus.length, (vcpu) => bit(look.state(DOMAIN_POLL_MASK + (vcpu >>> 5) * 4), vcpu)),
    sharedInfo: snapshotSharedInfo(look),
    vcpus: domain.vcpus.map((vcpu) => snapshotVcpu(look, vcpu, nowNs)),
    ...snapshotChannels(look, channels, edgesOf),
    ...(fifo === undefined ? {} : { fifo }),
    ...(grants === undefined ? {} : { grants }),
    ...(servicePages.length === 0 ? {} : { servicePages: snapshotRings(look, servicePages) }),
    locks: snapshotLocks(look),
    words: Object.entries(words).flatMap(([name, at]) =>
      typeof at === 'number' ? [wordOf(look, name, at)] : at.map((each, i) => wordOf(look, `${name}[${i}]`, each)),
    ),
  };
}

function snapshotSharedInfo(look: Onlooker): DomainSnapshot['sharedInfo'] {
  const { sharedInfoAddress: address, pendingAddress, maskAddress, maxEvtchns, abi } = look.domain;
  const { fields } = layoutOf(abi, 'shared_info');
  const word = (name: string): number => look.guest(address + (fields[name]?.offset as number));
  const set = (bitmap: number) => (port: number) => bit(look.guest(bitmap + (port >>> 5) * 4), port);
  return {
    address,
    pending: rangesOf(maxEvtchns, set(pendingAddress)),
    masked: rangesOf(maxEvtchns, set(maskAddress)),
    wcVersion: word('wc_version'),
    wcSec: word('wc_sec'),
    wcNsec: word('wc_nsec'),
  };
}

function wordOf(look: Onlooker, name: string, address: number): DomainSnapshot['words'][number] {
  return { name, address, value: look.guest(address) | 0 };
}

function bit(word: number, number: number): boolean {
  return ((word >>> (number & 31)) & 1) === 1;
}
