/**
 * The memory of a machine: which buffers it has and how large they are. An image is plain data over
 * SharedArrayBuffers, so it can be sent to workers; `start-of-day.ts` fills it.
 *
 * Stands for what the domain builder and Xen's domain_create allocate. Frames map one to one: guest frame n lies at
 * byte n * 4096 of the domain's buffer.
 */
import { ABI_CONSTANTS, type AbiName } from '../abi/abis';
import { DOMID_FIRST_RESERVED } from '../abi/domain-ids';
import { TOOLSTACK_DEFAULTS } from '../abi/event-channel';
import { FIFO } from '../abi/fifo';
import { VCPUOP_limits } from '../abi/vcpu';
import {
  ACTIVE_GRANT_BYTES,
  CHANNEL_BYTES,
  DOMAIN_BYTES,
  EVTCHNS_PER_BUCKET,
  FIFO_DOMAIN_BYTES,
  FIFO_VCPU_BYTES,
  GRANT_MAPPING_BYTES,
  GRANT_TABLE_BYTES,
  IRQ_BYTES,
  MACHINE_BYTES,
  MAX_DOMAINS,
  MAX_VCPUS,
  PIRQ_BYTES,
  VCPU_BYTES,
} from './state-layout';

export const PAGE_BYTES = 4096;
/** Of a grant_entry_v1. */
export const GRANT_ENTRY_BYTES = 8;
/** As many as Xen's default (gnttab_max_frames). */
export const MAX_GRANT_FRAMES = 64;
export const MAX_GRANT_MAPPINGS = 65536;
/** 1 GiB. */
export const MAX_DISK_FRAMES = 1 << 18;

/** What the toolstack decides about a domain. Plain data, the same for the machine's whole life. */
export interface DomainConfig {
  /** 0 .. 32751, unique. */
  readonly id: number;
  readonly name: string;
  readonly abi: AbiName;
  /** 1 .. 128. */
  readonly vcpus: number;
  /** Highest port the domain may have (max_evtchn_port), inclusive; the ABI's own limit holds as well. */
  readonly maxPort: number;
  /** Control domain: may name other domains in hypercalls, and read the console. */
  readonly privileged: boolean;
  /** Handler of the global VIRQs unless told otherwise. At most one domain of a machine. */
  readonly hardwareDomain: boolean;
  /** Physical interrupts it may bind. */
  readonly pirqs: readonly number[];
  /** Size of its memory in frames. */
  readonly frames: number;
  /** Most frames its grant table may have (max_grant_frames). They lie behind the others; one is in use from the start. */
  readonly grantFrames: number;
  /** Most grants of others that it may have mapped at a time, and pages of its window for them. */
  readonly grantMappings: number;
  /** Frames behind the grant table in which disks without a file are kept. */
  readonly diskFrames: number;
  readonly sharedInfoFrame: number;
  /** Frame of start_info (x86 only). */
  readonly startInfoFrame: number;
  /** Frames `from` .. `to - 1` may hold structures the guest registers with the hypervisor. */
  readonly mappable: { readonly from: number; readonly to: number };
  /** Frames the hypervisor must not write for the guest. */
  readonly readOnlyFrames: readonly number[];
  /** 'all': every vCPU is up from the start. 'boot': vCPU 0 is; it brings up the others. */
  readonly onlineVcpus: 'all' | 'boot';
  /** Initial period of the periodic timers in ns; 0: off. Xen starts x86 PV vCPUs with 10 ms. */
  readonly periodicTimerNs: number;
  /** The hypervisor keeps vcpu_time_info and the wallclock up to date. Arm domains have a wallclock only. */
  readonly timekeeping: boolean;
}

/** What a machine has besides its domains. */
export interface MachineOptions {
  /** Wallclock at system time 0: seconds since 1970. */
  readonly wallclockSec: number;
  /** 0 .. 999999999. */
  readonly wallclockNsec: number;
  /** Physical interrupts are numbered below this, in every domain. PIRQ n is machine IRQ n. */
  readonly irqs: number;
  /** Numbers without an interrupt behind them. */
  readonly unmappedIrqs: readonly number[];
  /** Interrupts that need no EOI (edge-triggered); the others stay silent until it is given. */
  readonly edgeIrqs: readonly number[];
  /** A missing EOI is taken for given after that time in ns; 0: never. */
  readonly irqEoiTimeoutNs: number;
}

/** The buffers of one domain. */
export interface DomainImage {
  readonly config: DomainConfig;
  /** Its pseudo-physical memory, its grant table and its disks behind it: all the guest can reach without the leave of others. */
  readonly guest: SharedArrayBuffer;
  /** What the hypervisor knows about it, see `state-layout.ts`. */
  readonly private: SharedArrayBuffer;
}

export interface MachineImage {
  readonly options: MachineOptions;
  readonly global: SharedArrayBuffer;
  readonly domains: readonly DomainImage[];
}

const DEFAULT_OPTIONS: MachineOptions = {
  wallclockSec: 0,
  wallclockNsec: 0,
  irqs: 64,
  unmappedIrqs: [],
  edgeIrqs: [],
  irqEoiTimeoutNs: 1_000_000,
};

/** A configuration with the usual values where `given` has none. */
export function domainConfig(given: Partial<DomainConfig> & { readonly id: number }): DomainConfig {
  const abi = given.abi ?? 'x86_64';
  const frames = given.frames ?? 64;
  const isX86 = ABI_CONSTANTS[abi].XEN_HAVE_PV_UPCALL_MASK === 1;
  return {
    name: `d${given.id}`,
    vcpus: 1,
    maxPort: TOOLSTACK_DEFAULTS.libxl_max_event_channels,
    privileged: false,
    hardwareDomain: false,
    pirqs: [],
    sharedInfoFrame: 1,
    startInfoFrame: 2,
    mappable: { from: 1, to: frames },
    readOnlyFrames: [],
    grantFrames: 4,
    grantMappings: 512,
    diskFrames: 0,
    onlineVcpus: 'all',
    periodicTimerNs: isX86
      ? VCPUOP_limits.periodic_timer_default_ns_x86_pv
      : VCPUOP_limits.periodic_timer_default_ns_other,
    timekeeping: true,
    ...given,
    abi,
    frames,
  };
}

/** All frames the domain's buffer has room for: its memory, then its grant table, then its disks. */
export function allFrames({ frames, grantFrames, diskFrames }: DomainConfig): number {
  return frames + grantFrames + diskFrames;
}

/** Entries of a frame of a grant table. */
export const GRANTS_PER_FRAME = PAGE_BYTES / GRANT_ENTRY_BYTES;

/**
 * Number of channel records a domain has room for: every domain may switch to the FIFO ABI. Records of ports that are never
 * used cost address space only.
 */
export function channelCapacity(config: DomainConfig): number {
  const highest = Math.min(config.maxPort, FIFO.EVTCHN_FIFO_NR_CHANNELS - 1);
  return Math.ceil((highest + 1) / EVTCHNS_PER_BUCKET) * EVTCHNS_PER_BUCKET;
}

/** Where the parts of a domain's private buffer begin, and its size. */
export function privateLayout(config: DomainConfig, irqs: number) {
  const vcpus = DOMAIN_BYTES;
  const pirqs = vcpus + config.vcpus * VCPU_BYTES;
  const channels = Math.ceil((pirqs + irqs * PIRQ_BYTES) / CHANNEL_BYTES) * CHANNEL_BYTES;
  const fifo = channels + channelCapacity(config) * CHANNEL_BYTES;
  const fifoVcpus = fifo + FIFO_DOMAIN_BYTES;
  const grantTable = fifoVcpus + config.vcpus * FIFO_VCPU_BYTES;
  const activeGrants = grantTable + GRANT_TABLE_BYTES;
  const window = activeGrants + config.grantFrames * GRANTS_PER_FRAME * ACTIVE_GRANT_BYTES;
  const mappings = window + Math.ceil(config.grantMappings / 2) * 8;
  const byteLength = mappings + config.grantMappings * GRANT_MAPPING_BYTES;
  return { vcpus, pirqs, channels, fifo, fifoVcpus, grantTable, activeGrants, window, mappings, byteLength };
}

function requireInteger(what: string, value: number, from: number, to: number): void {
  if (!Number.isInteger(value) || value < from || value > to) {
    throw new RangeError(`${what} must be an integer from ${from} to ${to}, not ${value}`);
  }
}

function checkConfig(config: DomainConfig): void {
  requireInteger('domain id', config.id, 0, DOMID_FIRST_RESERVED - 1);
  const name = `domain ${config.id}`;
  requireInteger(`${name}: vcpus`, config.vcpus, 1, MAX_VCPUS);
  requireInteger(`${name}: maxPort`, config.maxPort, 1, 0x7fffffff);
  requireInteger(`${name}: frames`, config.frames, 3, (1 << 19) - MAX_GRANT_FRAMES - config.diskFrames);
  requireInteger(`${name}: grantFrames`, config.grantFrames, 1, MAX_GRANT_FRAMES);
  requireInteger(`${name}: diskFrames`, config.diskFrames, 0, MAX_DISK_FRAMES);
  requireInteger(`${name}: grantMappings`, config.grantMappings, 0, MAX_GRANT_MAPPINGS);
  requireInteger(`${name}: sharedInfoFrame`, config.sharedInfoFrame, 1, config.frames - 1);
  requireInteger(`${name}: startInfoFrame`, config.startInfoFrame, 1, config.frames - 1);
  requireInteger(`${name}: mappable.from`, config.mappable.from, 1, config.frames);
  requireInteger(`${name}: mappable.to`, config.mappable.to, config.mappable.from, config.frames);
  requireInteger(`${name}: periodicTimerNs`, config.periodicTimerNs, 0, Number.MAX_SAFE_INTEGER);
}

/**
 * Allocates the memory of a machine; all of it is zero.
 * @throws RangeError for a configuration no machine can have
 */
export function createMachineImage(
  configs: readonly DomainConfig[],
  options: Partial<MachineOptions> = {},
): MachineImage {
  const all: MachineOptions = { ...DEFAULT_OPTIONS, ...options };
  requireInteger('number of domains', configs.length, 1, MAX_DOMAINS);
  requireInteger('irqs', all.irqs, 0, 65536);
  configs.forEach(checkConfig);
  if (new Set(configs.map((config) => config.id)).size !== configs.length) {
    throw new RangeError('two domains have the same id');
  }
  if (configs.filter((config) => config.hardwareDomain).length > 1) {
    throw new RangeError('two domains are the hardware domain');
  }
  return {
    options: all,
    global: new SharedArrayBuffer(MACHINE_BYTES + all.irqs * IRQ_BYTES),
    domains: configs.map((config) => ({
      config,
      guest: new SharedArrayBuffer(allFrames(config) * PAGE_BYTES),
      private: new SharedArrayBuffer(privateLayout(config, all.irqs).byteLength),
    })),
  };
}
