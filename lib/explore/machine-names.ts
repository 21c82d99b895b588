/** Names for addresses of a whole machine: guest memory by its structures, the hypervisor's state by its records. */
import type { InlineMachine, RegionPlace } from '../engine/inline/inline-machine';
import { CLOCK_ADDRESS, DEADLINE_ADDRESS, ENGINE_BYTES, TICK_ADDRESS } from '../engine/inline/ops';
import type { MachinePlan } from '../engine/machine-plan';
import { kernelRanges } from '../guest/kernel-area';
import { PauseFlag } from '../hypervisor/platform';
import { CHANNEL, DOMAIN, IRQ, MACHINE, MACHINE_BYTES, PIRQ, VCPU } from '../hypervisor/state-layout';
import { AddressNames, domainRanges } from '../memory/names';

const ENGINE_NAMES: Readonly<Record<number, string>> = {
  [CLOCK_ADDRESS]: 'clock',
  [DEADLINE_ADDRESS]: 'timer',
  [TICK_ADDRESS]: 'time',
};

const pauseFlags = Object.fromEntries(Object.entries(PauseFlag).map(([name, bit]) => [Math.log2(bit), name]));

export class MachineNames {
  private readonly regions: readonly {
    readonly place: RegionPlace;
    readonly names: AddressNames;
    readonly prefix: string;
  }[];

  constructor(plan: MachinePlan, machine: InlineMachine) {
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
      });
      // The guest library's words where nothing of the scenario's own lies, bare frames last.
      const library = kernelRanges(hv.config.vcpus, hv.config.frames * 4096);
      return { place, prefix, names: new AddressNames([...ranges.slice(0, -1), ...library, ...ranges.slice(-1)]) };
    });
  }

  /** @param address - in the engine's address space; `bits` those an operation concerns, 0 for the whole */
  describe(address: number, bits: number): string {
    const engineName = ENGINE_NAMES[address];
    if (engineName !== undefined) return engineName;
    const offset = address - ENGINE_BYTES;
    for (const { place, names, prefix } of this.regions) {
      if (offset < place.base || offset >= place.base + place.bytes) continue;
      const local = offset - place.base;
      return prefix + (bits === 0 ? names.describe(local) : names.describeBits(local, bits));
    }
    return `0x${address.toString(16)}`;
  }

  private stateNames(machine: InlineMachine, domainId: number): AddressNames {
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
