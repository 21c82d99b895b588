/** Names for addresses of a whole machine: guest memory by its structures, the hypervisor's state by its records. */

import type { RegionPlace } from '../engine/inline/inline-machine';
import { CLOCK_ADDRESS, DEADLINE_ADDRESS, ENGINE_BYTES, TICK_ADDRESS } from '../engine/inline/ops';
import type { MachinePlan } from '../engine/machine-plan';
import { fifoRanges } from '../guest/fifo-area';
import { kernelRanges } from '../guest/kernel-area';
import { libraryRanges } from '../guest/library-page';
import type { HvDomain, Hypervisor } from '../hypervisor/hypervisor';
import { GRANTS_PER_FRAME } from '../hypervisor/image';
import { PauseFlag } from '../hypervisor/platform';
import { PortView } from '../hypervisor/port-view';
import {
  ACTIVE_GRANT,
  CHANNEL,
  DOMAIN,
  FIFO_DOMAIN,
  FIFO_VCPU,
  GRANT_MAPPING,
  GRANT_TABLE,
  IRQ,
  MACHINE,
  MACHINE_BYTES,
  PIRQ,
  VCPU,
} from '../hypervisor/state-layout';
import { AddressNames, domainRanges } from '../memory/names';
import { fifoNamesAt } from './fifo-words';

const ENGINE_NAMES: Readonly<Record<number, string>> = {
  [CLOCK_ADDRESS]: 'clock',
  [DEADLINE_ADDRESS]: 'timer',
  [TICK_ADDRESS]: 'time',
};

const pauseFlags = Object.fromEntries(Object.entries(PauseFlag).map(([name, bit]) => [Math.log2(bit), name]));

/** A machine whose addresses are to be told: that of an engine, or one that has run. */
export interface TracedMachine {
  readonly hypervisor: Hypervisor;
  readonly regions: readonly RegionPlace[];
  /** A look at the word at an address of the one address space, as it is now. */
  readonly engine: { peek32(address: number): number };
}

export class MachineNames {
  private readonly regions: readonly {
    readonly place: RegionPlace;
    readonly names: AddressNames;
    readonly prefix: string;
    /** Names of what the domain has registered for the FIFO ABI by now; undefined where nothing of it lies. */
    readonly fifo?: (address: number) => AddressNames | undefined;
  }[];

  constructor(plan: MachinePlan, machine: TracedMachine) {
    this.regions = machine.regions.map((place) => {
      const { region } = place;
      if (region.kind === 'global') return { place, prefix: '', names: globalNames(place) };
      const domain = plan.domains.find(({ config }) => config.id === region.domainId);
      if (domain === undefined) throw new RangeError(`no domain ${region.domainId}`);
      const prefix = plan.domains.length > 1 ? `${domain.name}.` : '';
      if (region.kind === 'private') return { place, prefix, names: this.stateNames(machine, region.domainId) };
      const hv = machine.hypervisor.vcpu(region.domainId, 0).domain;
      const ranges = domainRanges({
        abi: hv.abi,
        sharedInfoAddress: hv.sharedInfoAddress,
        startInfoAddress: hv.config.startInfoFrame * 4096,
        words: domain.words.table,
        frames: hv.config.frames,
        grantFrames: hv.config.grantFrames,
      });
      // The guest library's words where nothing of the scenario's own lies, bare frames last.
      const bytes = hv.config.frames * 4096;
      const library = kernelRanges(hv.config.vcpus, bytes);
      if (domain.guestDomain.events === 'fifo') {
        library.push(...fifoRanges(hv.config.vcpus, bytes, hv.config.maxPort));
      }
      library.push(...libraryRanges(domain.guestDomain));
      const services = plan.services.flatMap(({ service, config }) => {
        const served = config.domains.find(({ id }) => id === region.domainId);
        return served === undefined ? [] : service.ranges(served.pageAddress);
      });
      const names = new AddressNames([...ranges.slice(0, -1), ...services, ...library, ...ranges.slice(-1)]);
      return { place, prefix, names, fifo: this.fifoNames(machine, hv) };
    });
  }

  /** @param address - in the engine's address space; `bits` those an operation concerns, 0 for the whole */
  describe(address: number, bits: number): string {
    const engineName = ENGINE_NAMES[address];
    if (engineName !== undefined) return engineName;
    const offset = address - ENGINE_BYTES;
    for (const { place, names, prefix, fifo } of this.regions) {
      if (offset < place.base || offset >= place.base + place.bytes) continue;
      const local = offset - place.base;
      const registered = fifo?.(local);
      // All words there are 32 bits wide; an operation on some of the bits may have been made on their byte.
      if (registered !== undefined) return prefix + registered.describeBits(local & ~3, bits << ((local & 3) * 8));
      return prefix + (bits === 0 ? names.describe(local) : names.describeBits(local, bits));
    }
    return `0x${address.toString(16)}`;
  }

  /** The guest chooses where its control blocks and event array lie while it runs. */
  private fifoNames(machine: TracedMachine, domain: HvDomain): (address: number) => AddressNames | undefined {
    const base = (kind: 'guest' | 'private'): number => {
      const found = machine.regions.find(({ region }) => region.kind === kind && region.domainId === domain.id);
      return ENGINE_BYTES + (found as RegionPlace).base;
    };
    const view = new PortView(domain, {
      guest: (address) => machine.engine.peek32(base('guest') + address),
      private: (address) => machine.engine.peek32(base('private') + address),
    });
    return (address) => {
      if (!view.usesFifo) return undefined;
      const controlBlocks = domain.vcpus
        .map((vcpu) => ({ vcpu: vcpu.vcpuId, address: view.controlBlock(vcpu) }))
        .filter((block) => block.address !== 0);
      return fifoNamesAt({ controlBlocks, pages: view.eventArrayPages() }, address);
    };
  }

  private stateNames(machine: TracedMachine, domainId: number): AddressNames {
    const hv = machine.hypervisor.vcpu(domainId, 0).domain;
    return new AddressNames([
      {
        name: 'vcpu',
        address: hv.vcpusAddress,
        layout: VCPU,
        count: hv.vcpus.length,
        bits: { pause_flags: pauseFlags },
      },
      { name: 'channel', address: hv.channelsAddress, layout: CHANNEL, count: hv.channelCapacity },
      {
        name: 'pirq',
        address: hv.pirqsAddress,
        layout: PIRQ,
        count: Math.floor((hv.channelsAddress - hv.pirqsAddress) / PIRQ.size),
      },
      { name: 'fifo', address: hv.fifoAddress, layout: FIFO_DOMAIN },
      { name: 'fifo_vcpu', address: hv.fifoVcpusAddress, layout: FIFO_VCPU, count: hv.vcpus.length },
      { name: 'grant_table', address: hv.grantTableAddress, layout: GRANT_TABLE },
      {
        name: 'active_grant',
        address: hv.activeGrantsAddress,
        layout: ACTIVE_GRANT,
        count: hv.config.grantFrames * GRANTS_PER_FRAME,
      },
      { name: 'window', address: hv.windowAddress, count: hv.config.grantMappings },
      { name: 'grant_mapping', address: hv.mappingsAddress, layout: GRANT_MAPPING, count: hv.config.grantMappings },
      { name: 'domain', address: 0, layout: DOMAIN },
    ]);
  }
}

function globalNames(place: RegionPlace): AddressNames {
  return new AddressNames([
    { name: 'machine', address: 0, layout: MACHINE },
    { name: 'irq', address: MACHINE_BYTES, layout: IRQ, count: Math.floor((place.bytes - MACHINE_BYTES) / IRQ.size) },
  ]);
}
