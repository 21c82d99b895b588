/**
 * The memory of a traced machine before its first step, and where in it the parts lie that people want to watch: shared
 * pages, vcpu_info, event channels, the scenario's words.
 */
import { layoutOf } from '../abi/layouts';
import { ENGINE_BYTES } from '../engine/inline/ops';
import type { DomainPlan, MachinePlan } from '../engine/machine-plan';
import { PortView } from '../hypervisor/port-view';
import { CHANNEL, EVENT_WORDS_PER_PAGE } from '../hypervisor/state-layout';
import type { TracedMachine } from './machine-names';
import type { TraceDomain, TraceFifo, TraceMemory } from './trace-format';

const STATE = CHANNEL.fields.state?.offset as number;
const CONTROL_BLOCK = layoutOf('x86_64', 'evtchn_fifo_control_block').fields;
const READY = CONTROL_BLOCK.ready?.offset as number;
const HEADS = CONTROL_BLOCK.head?.offset as number;
const NOTIFY_VCPU_ID = CHANNEL.fields.notify_vcpu_id?.offset as number;

export class InitialMemory {
  private readonly initial = new Map<number, number>();
  private domains: readonly TraceDomain[];

  /**
   * @param startOfDay - a word of a region, by its number, before the first step; absent: the machine has not begun yet
   */
  constructor(
    private readonly plan: MachinePlan,
    private readonly machine: TracedMachine,
    private readonly startOfDay?: (region: number, address: number) => number,
  ) {
    let actor = 0;
    this.domains = plan.domains.map((domain) => {
      const actors = Array.from({ length: domain.config.vcpus }, () => actor++);
      return this.describe(domain, actors);
    });
  }

  /** A word that a step touches, as the step found it. */
  touched(address: number, word: number): void {
    const at = address & ~3;
    if (!this.initial.has(at)) this.initial.set(at, word);
  }

  /** The execution is over, and memory as it has left it: where the guests have put what they chose the places of. */
  executed(): void {
    this.domains = this.domains.map((domain, index) => {
      const fifo = this.fifoOf(this.plan.domains[index] as DomainPlan);
      return fifo === undefined ? domain : { ...domain, fifo };
    });
  }

  private fifoOf({ config }: DomainPlan): TraceFifo | undefined {
    const { domain } = this.machine.hypervisor.vcpu(config.id, 0);
    const [guest, state] = [this.base('guest', config.id), this.base('private', config.id)];
    const { engine } = this.machine;
    const view = new PortView(domain, {
      guest: (address) => engine.peek32(guest + address),
      private: (address) => engine.peek32(state + address),
    });
    if (!view.usesFifo) return undefined;
    return {
      pages: view.eventArrayPages().map((page) => guest + page),
      wordsPerPage: EVENT_WORDS_PER_PAGE,
      controlBlocks: domain.vcpus.map((vcpu) => {
        const block = view.controlBlock(vcpu);
        return block === 0 ? null : { ready: guest + block + READY, heads: guest + block + HEADS };
      }),
    };
  }

  /** What there is to tell. */
  finish(): TraceMemory {
    const initial = [...this.initial].filter(([, value]) => value !== 0).sort(([a], [b]) => a - b);
    return { initial, domains: this.domains };
  }

  private keep(address: number, bytes: number): void {
    for (let at = address; at < address + bytes; at += 4) {
      const word = this.wordAt(at);
      if (word !== 0) this.initial.set(at, word);
    }
  }

  private wordAt(address: number): number {
    if (this.startOfDay === undefined) return this.machine.engine.peek32(address);
    const at = address - ENGINE_BYTES;
    const region = this.machine.regions.findIndex(({ base, bytes }) => at >= base && at < base + bytes);
    return this.startOfDay(region, at - (this.machine.regions[region]?.base ?? 0));
  }

  private describe(plan: DomainPlan, actors: readonly number[]): TraceDomain {
    const { id, name } = plan.config;
    const vcpus = actors.map((_, vcpu) => this.machine.hypervisor.vcpu(id, vcpu));
    const { domain } = this.machine.hypervisor.vcpu(id, 0);
    const guest = this.base('guest', id);
    const state = this.base('private', id);
    const words = Object.entries<number | readonly number[]>(plan.words.table).flatMap(([word, at]) =>
      typeof at === 'number'
        ? [{ name: word, address: guest + at }]
        : at.map((each, index) => ({ name: `${word}[${index}]`, address: guest + each })),
    );
    const infoPointers = vcpus.map((vcpu) => state + vcpu.infoPointerAddress);
    const channels = {
      address: state + domain.channelsAddress,
      size: CHANNEL.size,
      count: Math.min(domain.channelCapacity, domain.maxEvtchns),
      stateOffset: STATE,
      notifyVcpuOffset: NOTIFY_VCPU_ID,
    };
    this.keep(guest + domain.sharedInfoAddress, domain.constants.XEN_PAGE_SIZE);
    this.keep(channels.address, channels.count * channels.size);
    for (const { address } of words) this.keep(address, 4);
    for (const pointer of infoPointers) this.keep(pointer, 4);
    return {
      name,
      abi: domain.abi,
      actors,
      ports: domain.maxEvtchns,
      portsPerSelectorBit: 1 << domain.evtchnWordShift,
      pending: guest + domain.pendingAddress,
      mask: guest + domain.maskAddress,
      base: guest,
      infoPointers,
      selectorOffset: domain.selectorOffset,
      hasUpcallMask: domain.isX86,
      words,
      channels,
    };
  }

  private base(kind: 'guest' | 'private', domainId: number): number {
    const place = this.machine.regions.find(({ region }) => region.kind === kind && region.domainId === domainId);
    if (place === undefined) throw new RangeError(`no ${kind} region of domain ${domainId}`);
    return ENGINE_BYTES + place.base;
  }
}
