/**
 * Immutable views of a machine: {@link Machine}, its domains and their vCPUs. They hold addresses and the Memory to use
 * them with, nothing that changes; several of them, one per thread, may stand over one image.
 */
import { ABI_CONSTANTS, type AbiConstants, type AbiName } from '../abi/abis';
import { DOMID_SELF } from '../abi/domain-ids';
import { layoutOf, type StructName } from '../abi/layouts';
import type { LockableMemory } from '../memory/memory';
import {
  channelCapacity,
  type DomainConfig,
  type DomainImage,
  GRANT_ENTRY_BYTES,
  type MachineImage,
  PAGE_BYTES,
  privateLayout,
} from './image';
import type { Observer, Platform, VcpuRef } from './platform';
import {
  ACTIVE_GRANT_BYTES,
  CHANNEL_BYTES,
  DOMAIN_REMOVED,
  DOMAIN_STATUS,
  DOMAIN_VALID_EVTCHNS,
  FIFO_VCPU_BYTES,
  GRANT_MAPPING_BYTES,
  IRQ_BYTES,
  MACHINE_BYTES,
  PIRQ_BYTES,
  VCPU_BYTES,
  VCPU_INFO,
  VCPU_PAUSE_FLAGS,
  VCPU_POLL_EVTCHN,
} from './state-layout';

// A copy in this module: a constant to the compiler, where an import is a property that is looked up per event.
const RECORD_BYTES = CHANNEL_BYTES;

/** Names a buffer of the machine, for traces. */
export type Region = { readonly kind: 'global' } | { readonly kind: 'guest' | 'private'; readonly domainId: number };

/** How an engine gives access to a buffer. Called once per buffer while a machine is constructed. */
export type OpenMemory = (buffer: SharedArrayBuffer, region: Region) => LockableMemory;

/** A vCPU. */
export class HvVcpu implements VcpuRef {
  readonly domainId: number;
  /** Of its record in the domain's private memory. */
  readonly address: number;
  /** Of fields of that record which are used often. */
  readonly pauseFlagsAddress: number;
  readonly pollEvtchnAddress: number;
  readonly infoPointerAddress: number;
  /** Of its record for the FIFO ABI. */
  readonly fifoAddress: number;

  constructor(
    readonly domain: HvDomain,
    readonly vcpuId: number,
  ) {
    this.domainId = domain.id;
    this.address = domain.vcpusAddress + vcpuId * VCPU_BYTES;
    this.pauseFlagsAddress = this.address + VCPU_PAUSE_FLAGS;
    this.pollEvtchnAddress = this.address + VCPU_POLL_EVTCHN;
    this.infoPointerAddress = this.address + VCPU_INFO;
    this.fifoAddress = domain.fifoVcpusAddress + vcpuId * FIFO_VCPU_BYTES;
  }
}

/** Offset of a field in one of the domain's own structures. */
function offsetIn(abi: AbiName, struct: StructName, field: string): number {
  const layout = layoutOf(abi, struct).fields[field];
  if (layout === undefined) throw new Error(`${struct} of ${abi} has no field ${field}`);
  return layout.offset;
}

/** A domain. */
export class HvDomain {
  readonly config: DomainConfig;
  readonly id: number;
  readonly abi: AbiName;
  readonly constants: AbiConstants;
  /** x86 domains are paravirtualised: upcall mask byte, PIRQs, start_info, set_timer_op. */
  readonly isX86: boolean;
  /** Its memory, as the hypervisor reaches it. */
  readonly guest: LockableMemory;
  /** The hypervisor's state for it; laid out in `state-layout.ts`. */
  readonly state: LockableMemory;
  readonly vcpus: readonly HvVcpu[];
  /** Words of the poll mask in use. */
  readonly pollMaskWords: number;

  /** Size of its memory, without its grant table. */
  readonly memoryBytes: number;

  // Addresses in guest memory.
  readonly sharedInfoAddress: number;
  readonly pendingAddress: number;
  readonly maskAddress: number;

  // Offsets in vcpu_info.
  readonly selectorOffset: number;
  readonly timeOffset: number;
  readonly vcpuInfoBytes: number;

  /** log2 of the ports behind one selector bit. */
  readonly evtchnWordShift: number;
  /** Ports of the 2-level ABI. */
  readonly maxEvtchns: number;
  /** Ports there is memory for. */
  readonly channelCapacity: number;

  // Addresses in private memory.
  readonly vcpusAddress: number;
  readonly pirqsAddress: number;
  readonly channelsAddress: number;
  readonly fifoAddress: number;
  readonly fifoVcpusAddress: number;
  readonly grantTableAddress: number;
  readonly activeGrantsAddress: number;
  readonly windowAddress: number;
  readonly mappingsAddress: number;

  private readonly allowedPirqs: ReadonlySet<number>;
  private readonly readOnlyFrames: ReadonlySet<number>;

  constructor(
    image: DomainImage,
    /** Position in the machine's list. */
    readonly index: number,
    irqs: number,
    open: OpenMemory,
  ) {
    const { config } = image;
    this.config = config;
    this.id = config.id;
    this.abi = config.abi;
    this.constants = ABI_CONSTANTS[config.abi];
    this.isX86 = this.constants.XEN_HAVE_PV_UPCALL_MASK === 1;
    this.guest = open(image.guest, { kind: 'guest', domainId: config.id });
    this.state = open(image.private, { kind: 'private', domainId: config.id });

    this.memoryBytes = config.frames * PAGE_BYTES;
    this.sharedInfoAddress = config.sharedInfoFrame * PAGE_BYTES;
    this.pendingAddress = this.sharedInfoAddress + offsetIn(this.abi, 'shared_info', 'evtchn_pending');
    this.maskAddress = this.sharedInfoAddress + offsetIn(this.abi, 'shared_info', 'evtchn_mask');
    this.selectorOffset = offsetIn(this.abi, 'vcpu_info', 'evtchn_pending_sel');
    this.timeOffset = offsetIn(this.abi, 'vcpu_info', 'time');
    this.vcpuInfoBytes = layoutOf(this.abi, 'vcpu_info').size;
    this.evtchnWordShift = Math.log2(this.constants.BITS_PER_EVTCHN_WORD);
    this.maxEvtchns = this.constants.EVTCHN_2L_NR_CHANNELS;

    this.channelCapacity = channelCapacity(config);

    const layout = privateLayout(config, irqs);
    this.vcpusAddress = layout.vcpus;
    this.pirqsAddress = layout.pirqs;
    this.channelsAddress = layout.channels;
    this.fifoAddress = layout.fifo;
    this.fifoVcpusAddress = layout.fifoVcpus;
    this.grantTableAddress = layout.grantTable;
    this.activeGrantsAddress = layout.activeGrants;
    this.windowAddress = layout.window;
    this.mappingsAddress = layout.mappings;
    this.pollMaskWords = Math.ceil(config.vcpus / 32);
    this.vcpus = Array.from({ length: config.vcpus }, (_, id) => new HvVcpu(this, id));
    this.allowedPirqs = new Set(config.pirqs);
    this.readOnlyFrames = new Set(config.readOnlyFrames);
  }

  /** The vCPU of that number, or undefined; takes anything. */
  vcpu(id: number): HvVcpu | undefined {
    return typeof id === 'number' && id >= 0 && id < this.vcpus.length ? this.vcpus[id] : undefined;
  }

  /**
   * True for a port that has a record. Once true it stays so, and the record exists: the count is raised after it, and
   * read with a sequentially consistent load.
   */
  portIsValid(port: number): boolean {
    return typeof port === 'number' && port >>> 0 === port && port < this.state.read32(DOMAIN_VALID_EVTCHNS);
  }

  /** True for a port that may become valid: there is memory for its record. Takes anything. */
  mayHaveRecord(port: number): boolean {
    return typeof port === 'number' && port >>> 0 === port && port < this.channelCapacity;
  }

  /** Address of a port's record. */
  channelAddress(port: number): number {
    return this.channelsAddress + port * RECORD_BYTES;
  }

  /** Address of the record of a PIRQ below the machine's number of IRQs. */
  pirqAddress(pirq: number): number {
    return this.pirqsAddress + pirq * PIRQ_BYTES;
  }

  mayBindPirq(pirq: number): boolean {
    return this.allowedPirqs.has(pirq);
  }

  /** DOMAIN_ALIVE, _DYING or _REMOVED. */
  status(): number {
    return this.state.load32(DOMAIN_STATUS);
  }

  /** Address, in guest memory, of an entry of its grant table. The table's frames follow the domain's others. */
  grantEntryAddress(ref: number): number {
    return this.memoryBytes + ref * GRANT_ENTRY_BYTES;
  }

  /** Address of the record of a grant in use. */
  activeGrantAddress(ref: number): number {
    return this.activeGrantsAddress + ref * ACTIVE_GRANT_BYTES;
  }

  /** Address of the word for a page of its window. */
  windowPageAddress(page: number): number {
    return this.windowAddress + page * 4;
  }

  /** Address of the record of a mapping. */
  mappingAddress(handle: number): number {
    return this.mappingsAddress + handle * GRANT_MAPPING_BYTES;
  }

  /** True for a frame that may hold a structure the guest registers. */
  isMappable(frame: number): boolean {
    return Number.isInteger(frame) && frame >= this.config.mappable.from && frame < this.config.mappable.to;
  }

  isReadOnly(frame: number): boolean {
    return this.readOnlyFrames.has(frame);
  }

  /**
   * True when a hypercall argument may lie there. Frame 0 holds no memory, so that null pointers fault.
   *
   * DIFFERS: nor may it lie in the grant table's frames, or in what the domain has mapped of others.
   */
  isReadable(address: number, bytes: number): boolean {
    return address >= PAGE_BYTES && address + bytes <= this.memoryBytes && this.guest.contains(address, bytes);
  }

  /** True when a hypercall may store results there. */
  isWritable(address: number, bytes: number): boolean {
    if (!this.isReadable(address, bytes)) return false;
    if (this.readOnlyFrames.size === 0 || bytes === 0) return true;
    const last = Math.floor((address + bytes - 1) / PAGE_BYTES);
    for (let frame = Math.floor(address / PAGE_BYTES); frame <= last; frame++) {
      if (this.readOnlyFrames.has(frame)) return false;
    }
    return true;
  }
}

/** A machine: what all parts of the hypervisor share. */
export class Machine {
  readonly domains: readonly HvDomain[];
  /** Laid out in `state-layout.ts`: MACHINE, then the IRQs. */
  readonly global: LockableMemory;
  readonly hardwareDomain: HvDomain | undefined;
  private readonly domainsById: readonly (HvDomain | undefined)[];

  constructor(
    readonly image: MachineImage,
    open: OpenMemory,
    readonly platform: Platform,
    readonly observer: Observer,
  ) {
    this.global = open(image.global, { kind: 'global' });
    this.domains = image.domains.map((domain, index) => new HvDomain(domain, index, image.options.irqs, open));
    this.hardwareDomain = this.domains.find((domain) => domain.config.hardwareDomain);
    const byId: (HvDomain | undefined)[] = new Array(Math.max(...this.domains.map(({ id }) => id)) + 1).fill(undefined);
    for (const domain of this.domains) byId[domain.id] = domain;
    this.domainsById = byId;
  }

  /** The domain of that number whatever its status, or undefined; takes anything. */
  domain(id: number): HvDomain | undefined {
    return typeof id === 'number' && id >= 0 && id < this.domainsById.length ? this.domainsById[id] : undefined;
  }

  /** The domain with a number that is known to be one's: a channel's peer. */
  peer(id: number): HvDomain {
    return this.domainsById[id] as HvDomain;
  }

  /**
   * The domain a hypercall argument names: the caller for DOMID_SELF, undefined for one that does not exist or was
   * removed.
   * @source xen/common/domain.c, rcu_lock_domain_by_any_id
   */
  domainByAnyId(current: HvVcpu, id: number): HvDomain | undefined {
    return id === DOMID_SELF ? current.domain : this.domainById(id);
  }

  /** As {@link domainByAnyId}, without DOMID_SELF. */
  domainById(id: number): HvDomain | undefined {
    const domain = this.domain(id);
    return domain === undefined || domain.status() === DOMAIN_REMOVED ? undefined : domain;
  }

  /** True for a PIRQ number that exists, in any domain; takes anything. */
  pirqExists(pirq: number): boolean {
    return typeof pirq === 'number' && pirq >>> 0 === pirq && pirq < this.image.options.irqs;
  }

  /** Address of an IRQ's record in global memory. */
  irqAddress(irq: number): number {
    return MACHINE_BYTES + irq * IRQ_BYTES;
  }
}

/**
 * May the caller act on that domain? On itself always, on others only as control domain.
 * @source xen/include/xsm/dummy.h, xsm_default_action with XSM_TARGET
 */
export function mayControl(current: HvVcpu, domain: HvDomain): boolean {
  return current.domain === domain || current.domain.config.privileged;
}
