/**
 * A domain as its toolstack sees it: in setup, in check, and for devices. The memory has no windows, since no
 * vCPU of the domain runs this code.
 */
import { type DiskPlace, SECTOR_BYTES } from '../guest/disk';
import type { EventAbi, Hypercalls } from '../guest/vcpu';
import { createHypercalls, type HypercallGate } from '../hypervisor/hypercalls';
import type { Hypervisor } from '../hypervisor/hypervisor';
import type { Memory } from '../memory/memory';
import { SharedInfoView, VcpuInfoView } from '../memory/views';
import type { SetupStore } from '../services';
import { MemorySectors, type SectorStore } from './disk';
import { ScenarioError } from './errors';
import type { DomainPlan, MachinePlan } from './machine-plan';
import type { AbiName, CheckContext, SetupContext, ToolstackDisk, ToolstackDomain } from './scenario';
import { bindWords, type WordTable } from './words';

const noGate: HypercallGate = { enter() {}, exit() {} };

/** What is needed of a plan to view its domain; plain data. */
export type DomainDescription = Pick<DomainPlan, 'name'> & {
  readonly id: number;
  readonly words: WordTable;
  readonly events: EventAbi;
  readonly disks: Readonly<Record<string, DiskPlace>>;
};

/** Where the sectors of a disk are, given the memory of its domain. */
export type OpenDisk = (place: DiskPlace, memory: Memory) => SectorStore;

const inMemory: OpenDisk = ({ address }, memory) => new MemorySectors(memory, address);

class DomainView implements ToolstackDomain {
  readonly id: number;
  readonly name: string;
  readonly abi: AbiName;
  readonly vcpus: number;
  readonly frames: number;
  readonly events: EventAbi;
  readonly maxPort: number;
  readonly words: ToolstackDomain['words'];
  readonly hypercall: Hypercalls;
  private readonly infoAddress: (vcpu: number) => number;
  /** Scratch: made when it is first asked for. */
  private $sharedInfo: SharedInfoView | undefined;

  constructor(
    hypervisor: Hypervisor,
    private readonly description: DomainDescription,
    readonly memory: Memory,
    private readonly openDisk: OpenDisk,
  ) {
    const boot = hypervisor.vcpu(description.id, 0);
    const { config } = boot.domain;
    this.id = description.id;
    this.name = description.name;
    this.abi = config.abi;
    this.vcpus = config.vcpus;
    this.frames = config.frames;
    this.maxPort = config.maxPort;
    this.events = description.events;
    this.words = bindWords(memory, description.words);
    this.hypercall = createHypercalls(hypervisor, boot, noGate);
    this.infoAddress = (vcpu) => hypervisor.vcpuInfoAddress(hypervisor.vcpu(description.id, vcpu));
    this.sharedInfoAddress = boot.domain.sharedInfoAddress;
  }

  private readonly sharedInfoAddress: number;

  get sharedInfo(): SharedInfoView {
    this.$sharedInfo ??= new SharedInfoView(this.memory, this.abi, this.sharedInfoAddress);
    return this.$sharedInfo;
  }

  vcpuInfo(vcpu: number): VcpuInfoView {
    return new VcpuInfoView(this.memory, this.abi, this.infoAddress(vcpu));
  }

  disk(name: string): ToolstackDisk {
    const { disks } = this.description;
    const place = Object.hasOwn(disks, name) ? disks[name] : undefined;
    if (place === undefined) throw new RangeError(`domain '${this.name}' has no disk '${name}'`);
    return new DiskView(place, this.openDisk(place, this.memory));
  }
}

class DiskView implements ToolstackDisk {
  readonly sectors: number;
  readonly readOnly: boolean;

  constructor(
    place: DiskPlace,
    private readonly store: SectorStore,
  ) {
    this.sectors = place.sectors;
    this.readOnly = place.readOnly;
  }

  read(sector: number, count: number): Uint8Array {
    this.check(sector, count);
    const bytes = new Uint8Array(count * SECTOR_BYTES);
    if (this.store.readSectors(sector, count, bytes) !== 0) throw new Error(`the disk cannot be read at ${sector}`);
    return bytes;
  }

  write(sector: number, bytes: Uint8Array): void {
    const count = bytes.length / SECTOR_BYTES;
    this.check(sector, count);
    if (this.store.writeSectors(sector, count, bytes.slice()) !== 0)
      throw new Error(`the disk cannot be written at ${sector}`);
  }

  private check(sector: number, count: number): void {
    const areThere = Number.isInteger(sector) && sector >= 0 && Number.isInteger(count) && count >= 0;
    if (!areThere || sector + count > this.sectors) {
      throw new RangeError(`the disk has ${this.sectors} sectors, not ${count} from ${sector} on`);
    }
  }
}

/** Views of all domains of a machine, by name, in the order of the plan. */
export function toolstackDomains(
  hypervisor: Hypervisor,
  descriptions: readonly DomainDescription[],
  memoryOf: (domainId: number) => Memory,
  openDisk: OpenDisk = inMemory,
): Readonly<Record<string, ToolstackDomain>> {
  const views = descriptions.map(
    (each) => [each.name, new DomainView(hypervisor, each, memoryOf(each.id), openDisk)] as const,
  );
  return Object.freeze(Object.fromEntries(views));
}

export function describeDomains(plan: MachinePlan): readonly DomainDescription[] {
  return plan.domains.map(({ name, config, words, guestDomain }) => {
    return { name, id: config.id, words: words.table, events: guestDomain.events, disks: guestDomain.disks };
  });
}

/** The first domain of a record made by {@link toolstackDomains}. */
export function firstDomain(domains: Readonly<Record<string, ToolstackDomain>>): ToolstackDomain {
  const [first] = Object.values(domains);
  if (first === undefined) throw new Error('a machine has at least one domain');
  return first;
}

/** @param store - absent: the machine has none, and using it is a mistake */
export function setupContext(
  domains: Readonly<Record<string, ToolstackDomain>>,
  args: unknown,
  store: SetupStore | undefined,
): SetupContext {
  return {
    domain: firstDomain(domains),
    domains,
    args,
    get xenstore() {
      if (store !== undefined) return store;
      throw new ScenarioError('SCENARIO_INVALID', 'set-up uses xenstore: add xenstore: true to the scenario');
    },
  };
}

/** @param resultsOf - what each guest function returned, by domain and vCPU */
export function checkContext(
  domains: Readonly<Record<string, ToolstackDomain>>,
  args: unknown,
  resultsOf: Readonly<Record<string, readonly unknown[]>>,
): CheckContext {
  const domain = firstDomain(domains);
  return { domain, domains, args, words: domain.words, results: resultsOf[domain.name] ?? [], resultsOf };
}
