/**
 * Who waits for what: the vCPUs that cannot go on at some moment of an execution, and the events that are there for them
 * but that nobody will look at (lost wake-ups). Looks at memory as it is, without making steps. For traces.
 */
import { ECS_FREE } from '../abi/event-channel';
import type { InlineMachine } from '../engine/inline/inline-machine';
import { LOG_OPERAND, RECORD } from '../engine/inline/operation-log';
import { DRAINS, ENGINE_BYTES, KIND_BITS, KIND_MASK, LOOKS, Op, opName } from '../engine/inline/ops';
import type { MachinePlan } from '../engine/machine-plan';
import type { HvVcpu } from '../hypervisor/hypervisor';
import { PauseFlag } from '../hypervisor/platform';
import { PortView } from '../hypervisor/port-view';
import { CHANNEL, DOMAIN_VALID_EVTCHNS } from '../hypervisor/state-layout';
import type { MachineNames } from './machine-names';
import type { LostPort, TraceWait } from './trace-format';

/** Names of words that a spinning vCPU looks at; of more, the first are named. */
const MOST_NAMES = 3;

export class Waits {
  private readonly vcpus: readonly HvVcpu[];

  constructor(
    private readonly plan: MachinePlan,
    private readonly machine: InlineMachine,
    private readonly names: MachineNames,
  ) {
    this.vcpus = plan.domains.flatMap(({ config }) =>
      Array.from({ length: config.vcpus }, (_, id) => machine.hypervisor.vcpu(config.id, id)),
    );
  }

  /** All vCPUs that have not ended and cannot go on. */
  all(): TraceWait[] {
    const { state } = this.machine.engine;
    const free = state.enabled() | state.done;
    return [...this.vcpus.keys()].filter((actor) => ((free >>> actor) & 1) === 0).map((actor) => this.of(actor));
  }

  /** What a vCPU that cannot go on waits for. */
  of(actor: number): TraceWait {
    const { state } = this.machine.engine;
    const at = (state.pos[actor] as number) * RECORD;
    const log = state.logs[actor] as Int32Array;
    const kind = (log[at] as number) & KIND_MASK;
    const address = (log[at] as number) >>> KIND_BITS;
    const vcpu = this.vcpus[actor];
    if (kind === Op.AWAIT_CLEAR && vcpu !== undefined) return this.sleeper(actor, vcpu);
    return { actor, text: this.describe(actor, kind, address, log[at + LOG_OPERAND] as number) };
  }

  private describe(actor: number, kind: number, address: number, operand: number): string {
    switch (kind) {
      case Op.READ_LOCK:
      case Op.WRITE_LOCK:
        return `waits for ${this.names.describe(address, 0)}`;
      case Op.WAIT_END:
        return `asleep in wait on ${this.names.describe(address, 0)}${operand === 0 ? '' : ', with a timeout'}`;
      case Op.RELAX:
        return `spins until ${this.watched(actor)} changes`;
      default:
        if (this.machine.engine.state.tso && DRAINS[kind] === 1) return 'waits until its store buffer is empty';
        return `waits in ${opName(kind)}`;
    }
  }

  /** The words read since the actor relaxed last. */
  private watched(actor: number): string {
    const { state } = this.machine.engine;
    const log = state.logs[actor] as Int32Array;
    const found = new Set<string>();
    for (let position = (state.pos[actor] as number) - 1; position >= 0; position--) {
      const tag = log[position * RECORD] as number;
      const kind = tag & KIND_MASK;
      if (kind === Op.RELAX) break;
      if (LOOKS[kind] === 1 && kind !== Op.WINDOW && kind !== Op.NOW) {
        const name = this.names.describe(tag >>> KIND_BITS, 0);
        // Where vcpu_info lies is looked up to spin, not spun on.
        if (!name.endsWith('].vcpu_info')) found.add(name);
      }
    }
    const list = [...found].reverse();
    if (list.length === 0) return 'something';
    return list.length <= MOST_NAMES ? list.join(' or ') : `${list.slice(0, MOST_NAMES).join(' or ')} or another word`;
  }

  private sleeper(actor: number, vcpu: HvVcpu): TraceWait {
    const { domain } = vcpu;
    const state = this.base('private', vcpu.domainId);
    const guest = this.base('guest', vcpu.domainId);
    const flags = this.word(state + vcpu.pauseFlagsAddress);
    if ((flags & PauseFlag.DOWN) !== 0) return { actor, text: 'is down' };
    if ((flags & PauseFlag.BLOCKED) === 0) return { actor, text: 'is paused' };
    const info = guest + this.word(state + vcpu.infoPointerAddress);
    const view = new PortView(domain, {
      guest: (address) => this.word(guest + address),
      private: (address) => this.word(state + address),
    });
    const ports: number[] = [];
    const pending: LostPort[] = [];
    for (let port = 1; port < this.word(state + DOMAIN_VALID_EVTCHNS); port++) {
      const channel = state + domain.channelsAddress + port * CHANNEL.size;
      if ((this.word(channel + STATE) & 0xff) === ECS_FREE) continue;
      if (this.word(channel + NOTIFY_VCPU_ID) !== vcpu.vcpuId) continue;
      ports.push(port);
      if (!view.isPending(port)) continue;
      const selected = view.isAnnounced(port, vcpu);
      pending.push({ port, masked: view.isMasked(port), selected, ...(view.usesFifo && { fifo: true }) });
    }
    const polled = this.word(state + vcpu.pollEvtchnAddress);
    const where =
      polled === 0 ? 'SCHEDOP_block' : `SCHEDOP_poll ${polled > 0 ? `of port ${polled}` : 'of several ports'}`;
    return {
      actor,
      text: `asleep in ${where}`,
      asleep: {
        domain: this.plan.domains.length > 1 ? domain.config.name : '',
        vcpu: vcpu.vcpuId,
        ports,
        pending,
        upcallPending: (this.word(info) & 0xff) !== 0,
        upcallMasked: domain.isX86 && (this.word(info) & 0xff00) !== 0,
      },
    };
  }

  private word(address: number): number {
    return this.machine.engine.peek32(address);
  }

  /** Where a domain's guest or private memory begins in the engine's address space. */
  private base(kind: 'guest' | 'private', domainId: number): number {
    const place = this.machine.regions.find(({ region }) => region.kind === kind && region.domainId === domainId);
    if (place === undefined) throw new RangeError(`no ${kind} region of domain ${domainId}`);
    return ENGINE_BYTES + place.base;
  }
}

const STATE = CHANNEL.fields.state?.offset as number;
const NOTIFY_VCPU_ID = CHANNEL.fields.notify_vcpu_id?.offset as number;
