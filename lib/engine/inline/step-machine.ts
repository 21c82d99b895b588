/**
 * A scenario's machine under a deterministic engine: the hypervisor over the engine's memory, and one program per vCPU,
 * one per device, one for the timer hardware.
 *
 * All programs share one hypervisor object: it holds nothing that changes. A guest's `Vcpu` is made anew each time its
 * program is called; so are its random numbers.
 *
 * DIFFERS: x86 domains start with their periodic timer off (Xen: 10 ms), or no exploration would ever end; a guest
 * that wants it sets it. Timers and devices step at most {@link MachineSetup.hardwareSteps} times per execution.
 */
import { format } from 'node:util';
import { type HvVcpu, Hypervisor, type Region } from '../../hypervisor/hypervisor';
import { createMachineImage, type MachineImage } from '../../hypervisor/image';
import { PauseFlag, type Platform } from '../../hypervisor/platform';
import { PortView } from '../../hypervisor/port-view';
import { initialiseMachine } from '../../hypervisor/start-of-day';
import { DOMAIN_VALID_EVTCHNS } from '../../hypervisor/state-layout';
import { GuestAssertionError, toError } from '../errors';
import { type GuestHooks, GuestVcpu } from '../guest-vcpu';
import { consoleMark, typeScripts } from '../host-consoles';
import { checkInvariants, type Moment, type Peek, type PreparedInvariants, prepareInvariants } from '../invariants';
import { MachineView } from '../invariants/machine-view';
import { StepBudget } from '../invariants/step-budget';
import type { DomainPlan, MachinePlan } from '../machine-plan';
import { Random } from '../rng';
import type { Device, ToolstackDomain } from '../scenario';
import { connectServices, setupStore } from '../service-plan';
import { checkContext, describeDomains, firstDomain, setupContext, toolstackDomains } from '../toolstack';
import { initialiseWords } from '../words';
import { EventHistory, type EventSource } from './event-history';
import type { HypercallSteps, MemoryModel } from './event-stack';
import { InlineMemory } from './inline-memory';
import { BY_HYPERVISOR, ENGINE_BYTES, Op, opName } from './ops';
import { guestBases, layOutRegions, type RegionPlace } from './regions';
import type { Program, StepEngine } from './step-engine';
import { HypervisorMemory, UpcallLook, WindowMemory } from './vcpu-memory';

/** Something that happens between an actor's steps. */
export type MarkKind = 'hypercall' | 'hypercall-end' | 'upcall' | 'upcall-end' | 'log';

/** Told what happens between steps, once each, however often programs are run again. */
export interface MachineTracer {
  /** @param position - number of the actor's steps before it */
  mark(actor: number, position: number, kind: MarkKind, text: string): void;
  /** The operation at this position is made by this stack. */
  location?(actor: number, position: number, stack: string): void;
}

export interface MachineSetup {
  readonly memoryModel: MemoryModel;
  /** 'atomic': what is done in the hypervisor, by a hypercall, a device or the timer, is one step. Default 'fine'. */
  readonly hypercalls?: HypercallSteps;
  /** Plain accesses of guests and devices that nothing orders are a failure. */
  readonly dataRaces?: boolean;
  readonly maxSteps: number;
  /** Seed of vcpu.random. */
  readonly seed: number;
  /** Steps of timer hardware and of each device in one execution. */
  readonly hardwareSteps: number;
  /** Called when a guest reaches a label. */
  readonly onCover?: (label: string) => void;
  /** Present: nothing is cached, so that every program runs through every step. */
  readonly tracer?: MachineTracer;
}

/** Unwinds a guest whose domain was shut down. */
class Shutdown {
  readonly message = 'the domain was shut down: rethrow what you do not know';
}
const SHUTDOWN = new Shutdown();

const STOPPING = PauseFlag.BLOCKED | PauseFlag.DOWN;
const REGISTER_VCPU_INFO = 'VCPUOP_register_vcpu_info';

export class StepMachine<E extends StepEngine = StepEngine> {
  readonly engine: E;
  readonly hypervisor: Hypervisor;
  readonly programs: readonly Program[];
  readonly regions: readonly RegionPlace[];
  readonly domains: Readonly<Record<string, ToolstackDomain>>;
  private readonly guestBases: readonly number[];
  private readonly invariants: PreparedInvariants | undefined;
  /** By actor. What is set in them is set anew for each call of the program: what is made over them may last. */
  private readonly windowMemories: WindowMemory[] = [];
  /** vCPUs by actor. */
  private readonly vcpus: readonly { readonly plan: DomainPlan; readonly id: number }[];

  /**
   * @param image - its buffers at start of day; whether they are used afterwards is the engine's business
   * @param makeEngine - called once `programs` and `regions` are there
   */
  constructor(
    readonly plan: MachinePlan,
    private readonly setup: MachineSetup,
    image: MachineImage,
    makeEngine: (machine: StepMachine<E>) => E,
  ) {
    this.regions = layOutRegions(image);
    this.guestBases = guestBases(this.regions);
    this.vcpus = plan.domains.flatMap((domain) =>
      Array.from({ length: domain.config.vcpus }, (_, id) => ({ plan: domain, id })),
    );
    const devices = Object.entries<(device: Device) => void>(plan.scenario.devices ?? {});
    this.programs = [
      ...this.vcpus.map(({ plan: domain, id }, actor) => ({
        name: plan.domains.length > 1 ? `${domain.name}/vCPU ${id}` : `vCPU ${id}`,
        ...(domain.daemon && { daemon: 'guest' as const }),
        run: () => this.runVcpu(domain, id, actor),
      })),
      ...devices.map(([name, code], index) => ({
        name: `device ${name}`,
        daemon: 'hardware' as const,
        run: () => this.runDevice(name, code, this.vcpus.length + index),
      })),
      { name: 'timer', daemon: 'hardware' as const, run: () => this.runTimer() },
    ];
    this.engine = makeEngine(this);
    this.hypervisor = new Hypervisor(image, (_buffer, region) => this.open(region), this.platform());
    this.invariants = prepareInvariants(plan, this.hypervisor);
    this.domains = toolstackDomains(this.hypervisor, describeDomains(plan), (id) => this.guestMemory(id));
  }

  get vcpuCount(): number {
    return this.vcpus.length;
  }

  /** Name of an actor of the engine, store buffers included. */
  actorName(actor: number): string {
    const { programs } = this;
    if (actor < programs.length) return (programs[actor] as Program).name;
    const buffer = this.setup.memoryModel === 'tso' ? programs[actor - programs.length] : undefined;
    return buffer === undefined ? 'time' : `store buffer of ${buffer.name}`;
  }

  private place(kind: Region['kind'], domainId: number): RegionPlace {
    const place = this.regions.find(
      ({ region }) => region.kind === kind && (region.kind === 'global' || region.domainId === domainId),
    );
    if (place === undefined) throw new RangeError(`no ${kind} region of domain ${domainId}`);
    return place;
  }

  private open(region: Region): InlineMemory {
    const { base, bytes } = this.place(region.kind, region.kind === 'global' ? 0 : region.domainId);
    const make = region.kind === 'guest' ? HypervisorMemory : InlineMemory;
    const mark = this.setup.dataRaces === true ? BY_HYPERVISOR : 0;
    return new make(this.engine, ENGINE_BYTES + base, bytes, mark);
  }

  /** A domain's memory as toolstack and devices see it: no windows. */
  private guestMemory(domainId: number): InlineMemory {
    const { base, bytes } = this.place('guest', domainId);
    return new InlineMemory(this.engine, ENGINE_BYTES + base, bytes);
  }

  /** Initial words and the scenario's setup. To be called once, outside any execution. */
  startOfDay(): void {
    for (const domain of this.plan.domains) initialiseWords(this.guestMemory(domain.config.id), domain.words);
    connectServices(this.plan.services, this.domains);
    typeScripts(this.plan.services, this.domains);
    this.plan.scenario.setup?.(setupContext(this.domains, this.plan.args, setupStore(this.plan, this.domains)));
    for (const { plan, id } of this.vcpus) {
      const vcpu = this.hypervisor.vcpu(plan.config.id, id);
      if ((vcpu.domain.state.load32(vcpu.pauseFlagsAddress) & PauseFlag.DOWN) === 0)
        this.hypervisor.sched.switchIn(vcpu);
    }
  }

  /**
   * The scenario's check, outside any execution.
   * @param values - what each program returned
   */
  check(values: readonly unknown[]): void {
    const { scenario, args } = this.plan;
    if (scenario.check === undefined) return;
    const resultsOf: Record<string, unknown[]> = {};
    for (const { name } of this.plan.domains) resultsOf[name] = [];
    this.vcpus.forEach(({ plan: { name } }, actor) => {
      resultsOf[name]?.push(values[actor]);
    });
    scenario.check(checkContext(this.domains, args, resultsOf));
  }

  /** The words of memory as they are now, without a step of anybody's. */
  get peek(): Peek {
    const peek = (kind: 'guest' | 'private') => {
      const bases = new Map(this.plan.domains.map(({ config: { id } }) => [id, this.place(kind, id)]));
      return (domainId: number, address: number): number => {
        const place = bases.get(domainId);
        if (place === undefined || address < 0 || address >= place.bytes) return 0;
        return this.engine.peek32(ENGINE_BYTES + place.base + address);
      };
    };
    return { guest: peek('guest'), private: peek('private') };
  }

  /**
   * What the scenario's invariants have to say of an execution that stops, outside any execution.
   * @param events - of the execution; asked for if the invariants make use of them
   */
  brokenInvariant(when: Moment, events: () => EventSource): string | undefined {
    const { invariants } = this;
    if (invariants === undefined) return undefined;
    const view = new MachineView(this.hypervisor, this.peek);
    const history = invariants.usesHistory
      ? new EventHistory(events(), this.regions, (actor) => this.actorName(actor))
      : undefined;
    return checkInvariants(invariants, when, view, history);
  }

  private runVcpu(plan: DomainPlan, id: number, actor: number): unknown {
    const current = this.hypervisor.vcpu(plan.config.id, id);
    try {
      if (plan.config.onlineVcpus === 'boot' && id !== 0) {
        this.awaitRunnable(current);
        this.inHypervisor(() => this.hypervisor.sched.switchIn(current));
      }
      return plan.guestOf(id)(this.makeVcpu(plan, current, actor));
    } catch (thrown) {
      if (thrown === SHUTDOWN) return undefined;
      throw thrown;
    }
  }

  private makeVcpu(plan: DomainPlan, current: HvVcpu, actor: number): GuestVcpu {
    const { base, bytes } = this.place('guest', plan.config.id);
    const address = ENGINE_BYTES + base;
    const memory = this.windowMemories[actor] ?? new WindowMemory(this.engine, address, bytes);
    this.windowMemories[actor] = memory;
    memory.infoAddress = this.hypervisor.vcpuInfoAddress(current);
    const vcpu = new GuestVcpu({
      hypervisor: this.hypervisor,
      current,
      memory,
      raw: new UpcallLook(this.engine, address, bytes),
      foreign: (id) => this.guestMemory(id),
      domain: plan.guestDomain,
      words: plan.words.table,
      hooks: this.hooks(current, memory, actor),
    });
    memory.whenPending(() => vcpu.deliverUpcalls());
    memory.mapped = {
      pages: plan.config.grantMappings,
      wordFor: (page) => current.domain.state.load32(current.domain.windowPageAddress(page)),
      bases: this.guestBases,
      fault: (error) => this.crash(error),
    };
    return vcpu;
  }

  private hooks(current: HvVcpu, memory: WindowMemory, actor: number): GuestHooks {
    const { engine, setup } = this;
    const rng = new Random(setup.seed + actor);
    const limits = this.invariants?.stepLimits;
    const budget = limits && new StepBudget(limits);
    let entered = '';
    return {
      hypercallEnter: (name) => {
        entered = name;
        this.mark(actor, 'hypercall', name);
        this.enter();
        budget?.enter(name, engine.position);
      },
      hypercallExit: () => {
        this.leave();
        this.mark(actor, 'hypercall-end', entered);
        this.abortIfBroken(budget?.exit(engine.position));
        if (entered === REGISTER_VCPU_INFO) memory.infoAddress = this.hypervisor.vcpuInfoAddress(current);
      },
      upcallPossible: () => true,
      interrupted: () => {},
      upcallEnter: () => {
        this.mark(actor, 'upcall', 'upcall');
        budget?.enter('upcall', engine.position);
      },
      upcallExit: () => {
        this.mark(actor, 'upcall-end', 'upcall');
        this.abortIfBroken(budget?.exit(engine.position));
      },
      relax: () => {
        engine.relax();
        this.abortIfBroken(budget?.look(engine.position));
      },
      choose: (n) => engine.choose(n),
      random: () => rng.fraction(),
      now: () => engine.now(),
      log: (values) => this.mark(actor, 'log', format(...values)),
      consoleOutput: (id, bytes) => this.mark(actor, 'log', consoleMark(this.plan, id, bytes)),
      cover: (label) => this.cover(label),
      crash: (cause) => this.crash(cause),
    };
  }

  private cover(label: string): void {
    const { covers } = this.plan.scenario;
    if (covers !== undefined && !covers.includes(label)) {
      this.crash(new Error(`vcpu.cover('${label}'): not among the scenario's covers: ${covers.join(', ')}`));
    }
    this.engine.whenSure(() => this.setup.onCover?.(label));
  }

  private mark(actor: number, kind: MarkKind, text: string): void {
    const { tracer } = this.setup;
    if (tracer !== undefined && !this.engine.replaying) tracer.mark(actor, this.engine.position, kind, text);
  }

  /** Brackets of what is one step where hypercalls are atomic. */
  private enter(): void {
    if (this.setup.hypercalls === 'atomic') this.engine.step(Op.ENTER, 0, 0);
  }

  private leave(): void {
    if (this.setup.hypercalls === 'atomic') this.engine.step(Op.LEAVE, 0, 0);
  }

  private inHypervisor<T>(visit: () => T): T {
    this.enter();
    const result = visit();
    this.leave();
    return result;
  }

  private abortIfBroken(sentence: string | undefined): void {
    if (sentence !== undefined) this.engine.abort('invariant', new Error(`bounded-steps: ${sentence}`));
  }

  private crash(cause: unknown): never {
    if (cause === SHUTDOWN) throw SHUTDOWN;
    const error = toError(cause);
    this.engine.abort(error instanceof GuestAssertionError ? 'assertion' : 'crash', error);
  }

  private awaitRunnable(vcpu: HvVcpu): void {
    const state = vcpu.domain.state as InlineMemory;
    if ((state.awaitClear(vcpu.pauseFlagsAddress, STOPPING) & PauseFlag.STOP) !== 0) throw SHUTDOWN;
  }

  private runTimer(): void {
    for (let steps = 0; ; steps++) {
      const now = this.engine.timerWait();
      if (steps >= this.setup.hardwareSteps) this.engine.park();
      const next = this.inHypervisor(() => this.hypervisor.runExpiredTimers(now));
      if (next !== Number.POSITIVE_INFINITY) this.engine.timerSet(next);
    }
  }

  private runDevice(name: string, code: (device: Device) => void, actor: number): void {
    const { engine, hypervisor, domains, setup, plan } = this;
    const rng = new Random(setup.seed + actor);
    let sleeps = 0;
    code({
      name,
      args: plan.args,
      domains,
      domain: firstDomain(domains),
      raisePirq: (pirq) => this.inHypervisor(() => hypervisor.raisePirq(pirq)),
      pirqInService: (pirq) => this.inHypervisor(() => hypervisor.pirqInService(pirq)),
      raiseVirq: (domain, vcpu, virq) =>
        this.inHypervisor(() => hypervisor.sendVcpuVirq(hypervisor.vcpu(domain, vcpu), virq)),
      raiseGlobalVirq: (virq) => this.inHypervisor(() => hypervisor.sendGlobalVirq(virq)),
      consoleInput: (input: string | Uint8Array) =>
        this.inHypervisor(() => hypervisor.consoleInput(Buffer.from(input as string))),
      sleep: (ns) => {
        engine.sleep(ns);
        if (++sleeps >= setup.hardwareSteps) engine.park();
      },
      now: () => engine.now(),
      choose: (n) => engine.choose(n),
      random: () => rng.fraction(),
      log: (...values: unknown[]) => this.mark(actor, 'log', format(...values)),
    });
  }

  /**
   * What a vCPU sleeps in, and the events that are there but announced to nobody.
   * @param kind - of its pending operation
   */
  describeWait(actor: number, kind: number): string {
    const slot = this.vcpus[actor];
    if (slot === undefined || kind !== Op.AWAIT_CLEAR) return `waits in ${opName(kind)}`;
    const vcpu = this.hypervisor.vcpu(slot.plan.config.id, slot.id);
    const privateBase = ENGINE_BYTES + this.place('private', vcpu.domainId).base;
    const guestBase = ENGINE_BYTES + this.place('guest', vcpu.domainId).base;
    const word = (address: number): number => this.engine.peek32(address);
    const flags = word(privateBase + vcpu.pauseFlagsAddress);
    const polled = word(privateBase + vcpu.pollEvtchnAddress);
    const info = guestBase + word(privateBase + vcpu.infoPointerAddress);
    const view = new PortView(vcpu.domain, {
      guest: (address) => word(guestBase + address),
      private: (address) => word(privateBase + address),
    });
    const ports: number[] = [];
    for (let port = 1; port < word(privateBase + DOMAIN_VALID_EVTCHNS); port++) {
      if (view.isPending(port) && !view.isMasked(port)) ports.push(port);
    }
    const announced = (word(info) & 0xff) !== 0;
    const lost = ports.map((port) => `port ${port}`).join(', ');
    const missed =
      ports.length === 0 || announced
        ? ''
        : ` (${lost} of the domain pending and unmasked, evtchn_upcall_pending clear: nobody will look)`;
    if ((flags & PauseFlag.DOWN) !== 0) return 'is down';
    return `is blocked in ${polled === 0 ? 'SCHEDOP_block' : 'SCHEDOP_poll'}${polled > 0 ? ` on port ${polled}` : ''}${missed}`;
  }

  private platform(): Platform {
    const { engine } = this;
    return {
      now: () => engine.now(),
      deschedule: (ref) => this.awaitRunnable(this.hypervisor.vcpu(ref.domainId, ref.vcpuId)),
      yield: () => {},
      timerChanged: (deadlineNs) => {
        if (deadlineNs !== Number.POSITIVE_INFINITY) engine.timerSet(deadlineNs);
      },
      consoleWrite: (_ref, bytes) => this.mark(engine.actor, 'log', Buffer.from(bytes).toString('utf8')),
      domainShutdown: (domainId) => this.stopDomain(domainId),
    };
  }

  /**
   * All vCPUs of the domain are to leave: sleepers are released, the others find out when they next sleep.
   *
   * DIFFERS: the handler of VIRQ_DOM_EXC is told at once and not when the last vCPU has stopped. A vCPU whose guest has
   * returned takes no further step in which it could be counted.
   */
  private stopDomain(domainId: number): void {
    const domain = this.hypervisor.domain(domainId);
    if (domain === undefined) return;
    for (const vcpu of domain.vcpus) domain.state.or32(vcpu.pauseFlagsAddress, PauseFlag.STOP);
    this.hypervisor.sched.finaliseShutdown(domain);
  }
}

/** The memory of a machine at start of day, for a deterministic engine. */
export function startOfDayImage(plan: MachinePlan): MachineImage {
  const configs = plan.domains.map(({ config }) => ({ ...config, periodicTimerNs: 0 }));
  const image = createMachineImage(configs, plan.machine);
  initialiseMachine({ image });
  return image;
}
