/**
 * A machine on one thread that records every access as a history, for tests of the invariants: who acts is what the
 * test says, the hypervisor is the real one.
 */
import { type Access, type History, type PreparedInvariants, prepareInvariants } from '../../../lib/engine/invariants';
import { MachineView } from '../../../lib/engine/invariants/machine-view';
import type { InvariantSpec } from '../../../lib/engine/invariants/specs';
import { planMachine } from '../../../lib/engine/machine-plan';
import { defineScenario, type WordsSpec } from '../../../lib/engine/scenario';
import { type HvDomain, type HvVcpu, Hypervisor, type Region } from '../../../lib/hypervisor/hypervisor';
import { createMachineImage } from '../../../lib/hypervisor/image';
import { initialiseMachine } from '../../../lib/hypervisor/start-of-day';
import { AtomicsMemory } from '../../../lib/memory/atomics-memory';
import type { LockableMemory } from '../../../lib/memory/memory';

const ID = 1;

export interface RecordedOptions {
  readonly vcpus?: number;
  readonly words?: WordsSpec;
  readonly invariants: readonly InvariantSpec[];
}

export class RecordedMachine {
  readonly hypervisor: Hypervisor;
  readonly prepared: PreparedInvariants;
  readonly view: MachineView;
  readonly history: RecordedHistory = new RecordedHistory();
  private readonly words: Readonly<Record<string, number | readonly number[]>>;

  constructor({ vcpus = 2, words = {}, invariants }: RecordedOptions) {
    const plan = planMachine(defineScenario({ name: 'recorded', vcpus, words, invariants, guest() {} }));
    const image = createMachineImage(plan.domains.map(({ config }) => config));
    this.hypervisor = new Hypervisor(image, (buffer, region) => recording(buffer, region, this.history), {
      now: () => 0,
      deschedule() {},
      yield() {},
      timerChanged() {},
      consoleWrite() {},
      domainShutdown() {},
    });
    initialiseMachine(this.hypervisor);
    const layout = plan.domains[0]!.words;
    this.words = layout.table;
    for (const { address, value } of layout.initial) this.domain.guest.write32(address, value);
    this.view = new MachineView(this.hypervisor, {
      guest: (_, address) => this.silently(() => this.domain.guest.read32(address)),
      private: (_, address) => this.silently(() => this.domain.state.read32(address)),
    });
    this.prepared = prepareInvariants(plan, this.hypervisor)!;
    this.history.on = true;
  }

  get domain(): HvDomain {
    return this.hypervisor.domain(ID) as HvDomain;
  }

  get guest(): LockableMemory {
    return this.domain.guest;
  }

  vcpu(id: number): HvVcpu {
    return this.hypervisor.vcpu(ID, id);
  }

  /** What vCPU `id` does next. */
  as(id: number): HvVcpu {
    this.history.actor = id;
    return this.vcpu(id);
  }

  /** Address of a word; of one of an array by index. */
  at(word: string, index?: number): number {
    const place = this.words[word];
    return (index === undefined ? place : (place as readonly number[])[index]) as number;
  }

  info(id: number): number {
    return this.silently(() => this.hypervisor.vcpuInfoAddress(this.vcpu(id)));
  }

  private silently<T>(look: () => T): T {
    const { on } = this.history;
    this.history.on = false;
    const found = look();
    this.history.on = on;
    return found;
  }
}

/** Steps depend on each other when they touch the same word and one of them changes it. */
export class RecordedHistory implements History {
  readonly accesses: Access[] = [];
  on = false;
  actor = 0;

  get length(): number {
    return this.accesses.length;
  }

  access(step: number): Access | undefined {
    return this.accesses[step];
  }

  actorName(step: number): string {
    return `vCPU ${this.accesses[step]?.actor}`;
  }

  happensBefore(a: number, b: number): boolean {
    if (a >= b) return false;
    if (this.dependent(a, b)) return true;
    for (let between = a + 1; between < b; between++) {
      if (this.dependent(a, between) && this.happensBefore(between, b)) return true;
    }
    return false;
  }

  private dependent(a: number, b: number): boolean {
    const [first, second] = [this.accesses[a]!, this.accesses[b]!];
    if (first.actor === second.actor) return true;
    if (first.kind === 'read' && second.kind === 'read') return false;
    return first.region.kind === second.region.kind && first.address >> 2 === second.address >> 2;
  }
}

const READS = /^(read|load)(8|32)$/;
const STORES = /^(write|store)(8|32)$/;
const UPDATES = /^(add|and|or|xor|exchange|compareExchange)(8|32)$/;

function recording(buffer: SharedArrayBuffer, region: Region, history: RecordedHistory): LockableMemory {
  const memory = new AtomicsMemory(buffer);
  return new Proxy(memory, {
    get(target, name) {
      const member = Reflect.get(target, name, target);
      if (typeof member !== 'function' || typeof name !== 'string') return member;
      const call = (...args: unknown[]) => Reflect.apply(member, target, args);
      const bytes = name.endsWith('8') ? 1 : 4;
      const kind = READS.test(name) ? 'read' : STORES.test(name) ? 'write' : UPDATES.test(name) ? 'update' : undefined;
      if (kind === undefined || !history.on) return call;
      const look = (address: number): number => (bytes === 1 ? target.read8(address) : target.read32(address));
      return (...args: readonly number[]) => {
        const address = args[0] as number;
        const before = look(address);
        const result = call(...args);
        const access = { actor: history.actor, kind, region, address, bytes, before, after: look(address) } as const;
        history.accesses.push(access);
        return result;
      };
    },
  });
}
