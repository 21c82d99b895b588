/**
 * A machine on one thread, for tests of guest code: the real hypervisor, vCPUs that take upcalls before each access,
 * a clock that stands still until told otherwise. Tests call the vCPUs' code one after the other, and say what
 * happens when a vCPU would sleep, or just before one of its accesses.
 */

import { describeGuest } from '../../lib/engine/guest-domain';
import { type GuestHooks, GuestVcpu, type GuestVcpuParts } from '../../lib/engine/guest-vcpu';
import type { WordsSpec } from '../../lib/engine/scenario';
import { layOutWords, WORDS_ADDRESS } from '../../lib/engine/words';
import type { EventAbi } from '../../lib/guest/vcpu';
import { type HvVcpu, Hypervisor } from '../../lib/hypervisor/hypervisor';
import { createMachineImage, type DomainConfig, domainConfig } from '../../lib/hypervisor/image';
import { PauseFlag, type VcpuRef } from '../../lib/hypervisor/platform';
import { initialiseMachine } from '../../lib/hypervisor/start-of-day';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import type { Memory } from '../../lib/memory/memory';

const DOMAIN_ID = 1;

export interface GuestMachineOptions extends Partial<DomainConfig> {
  readonly words?: WordsSpec;
  readonly args?: unknown;
  readonly events?: EventAbi;
}

export class GuestMachine {
  readonly hypervisor: Hypervisor;
  readonly guests: readonly GuestVcpu[];
  private readonly events: EventAbi;
  /** System time in ns. */
  now = 0;
  /** Lines written to the console. */
  readonly console: string[] = [];
  /** Called when a vCPU would sleep; has to do what wakes it. Default: time passes until the next timer. */
  onSleep: (vcpu: VcpuRef) => void = () => this.passTimeToNextTimer();
  /** Called in relax(). Default: a vCPU that spins fails, since nobody else runs. */
  onRelax: (vcpu: VcpuRef) => void = ({ vcpuId }) => {
    throw new Error(`vCPU ${vcpuId} spins for ever`);
  };
  /** Called before each access of a vCPU to guest memory, and before the window that precedes each hypercall. */
  beforeAccess: (vcpu: VcpuRef) => void = () => {};

  constructor(options: GuestMachineOptions = {}) {
    const { words, args, events = '2l', ...config } = options;
    this.events = events;
    const domain = domainConfig({ id: DOMAIN_ID, periodicTimerNs: 0, ...config });
    const image = createMachineImage([domain]);
    const decoder = new TextDecoder();
    this.hypervisor = new Hypervisor(image, (buffer) => new AtomicsMemory(buffer), {
      now: () => this.now,
      deschedule: (vcpu) => this.sleep(vcpu),
      yield() {},
      timerChanged() {},
      consoleWrite: (_vcpu, bytes) => this.console.push(decoder.decode(bytes)),
      domainShutdown(_id, code) {
        throw new Error(`the domain shut down with code ${code}`);
      },
    });
    initialiseMachine(this.hypervisor);
    const layout = layOutWords(words);
    const memory = new AtomicsMemory((image.domains[0] as { guest: SharedArrayBuffer }).guest);
    for (const { address, value } of layout.initial) memory.write32(address, value);
    this.guests = Array.from({ length: domain.vcpus }, (_, id) => this.makeGuest(id, memory, layout.table, args));
  }

  guest(id: number): GuestVcpu {
    return this.guests[id] as GuestVcpu;
  }

  hvVcpu(id: number): HvVcpu {
    return this.hypervisor.vcpu(DOMAIN_ID, id);
  }

  /** Time moves on to the next timer, which fires. */
  passTimeToNextTimer(): void {
    const deadline = this.hypervisor.nextDeadline();
    if (deadline === Number.POSITIVE_INFINITY) throw new Error('every vCPU sleeps for ever');
    this.now = Math.max(this.now, deadline);
    this.hypervisor.runExpiredTimers(this.now);
  }

  /** Time moves on; timers that are due fire. */
  passTime(ns: number): void {
    this.now += ns;
    this.hypervisor.runExpiredTimers(this.now);
  }

  /** Makes `action` happen just before the n-th access or hypercall (from 0) that the vCPU makes from now on. */
  interruptAt(vcpuId: number, n: number, action: () => void): void {
    let left = n;
    this.beforeAccess = (vcpu) => {
      if (vcpu.vcpuId === vcpuId && left-- === 0) action();
    };
  }

  private sleep(vcpu: VcpuRef): void {
    const { domain, pauseFlagsAddress } = this.hvVcpu(vcpu.vcpuId);
    for (let attempts = 0; (domain.state.load32(pauseFlagsAddress) & PauseFlag.BLOCKED) !== 0; attempts++) {
      if (attempts === 100) throw new Error(`vCPU ${vcpu.vcpuId} sleeps for ever`);
      this.onSleep(vcpu);
    }
  }

  private makeGuest(
    id: number,
    raw: Memory,
    words: Parameters<typeof layOutWords>[0] & object,
    args: unknown,
  ): GuestVcpu {
    const current = this.hvVcpu(id);
    const place = { startAddress: WORDS_ADDRESS };
    const guestDomain = { ...describeGuest(current.domain.config, place), events: this.events, args, domains: {} };
    const guest: TestVcpu = new TestVcpu(() => this.beforeAccess(current), {
      hypervisor: this.hypervisor,
      current,
      memory: withWindows(raw, () => {
        this.beforeAccess(current);
        guest.deliverUpcalls();
      }),
      raw,
      foreign: (domain) => this.hypervisor.vcpu(domain, 0).domain.guest,
      domain: guestDomain,
      words: words as never,
      hooks: this.hooks(current),
    });
    return guest;
  }

  private hooks(vcpu: VcpuRef): GuestHooks {
    return {
      upcallPossible: () => true,
      hypercallEnter() {},
      hypercallExit() {},
      interrupted() {},
      upcallEnter() {},
      upcallExit() {},
      relax: () => this.onRelax(vcpu),
      choose: () => 0,
      random: () => 0.5,
      now: () => this.now,
      log() {},
      consoleOutput() {},
      cover() {},
      crash(cause) {
        throw cause;
      },
    };
  }
}

class TestVcpu extends GuestVcpu {
  constructor(
    private readonly beforeHypercall: () => void,
    parts: GuestVcpuParts,
  ) {
    super(parts);
  }

  override enter(name: string): void {
    this.beforeHypercall();
    super.enter(name);
  }
}

/** Memory each of whose accesses is preceded by a call of `open`. */
function withWindows(memory: Memory, open: () => void): Memory {
  return new Proxy(memory, {
    get(target, name) {
      const member = Reflect.get(target, name, target);
      if (typeof member !== 'function' || name === 'contains') return member;
      return (...args: unknown[]) => {
        open();
        return Reflect.apply(member, target, args);
      };
    },
  });
}
