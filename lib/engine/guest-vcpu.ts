/**
 * The `Vcpu` object a guest is handed, whoever executes it: hypercalls, named words, views of its shared
 * structures, and the entry of upcalls. It stands for the processor's side of the guest: the return path of
 * Xen that looks for pending upcalls, and the event callback it enters.
 *
 * The engine brings the guest's memory (which opens a window for upcalls before each access) and
 * {@link GuestHooks}. The only state here is the registered callback; an engine that executes a guest anew
 * makes a new GuestVcpu or restarts it, and the guest registers it again.
 */
import { Errno, HypercallError } from '../abi/errno';
import type { Disk, DiskPlace } from '../guest/disk';
import type { GuestDomain, Hypercalls, Words } from '../guest/vcpu';
import { createHypercalls, type HypercallGate } from '../hypervisor/hypercalls';
import type { HvVcpu, Hypervisor } from '../hypervisor/hypervisor';
import { VCPU_IRQ_MASKED } from '../hypervisor/state-layout';
import { ByteField } from '../memory/fields';
import type { Memory } from '../memory/memory';
import { SharedInfoView, VcpuInfoView } from '../memory/views';
import type { ServiceVcpu } from '../services';
import { HostDisk, MemorySectors, type SectorStore } from './disk';
import { GuestAssertionError, GuestCrashError } from './errors';
import type { WordTable } from './words';
import { bindWords } from './words';

/** What the engine supplies to a guest's vCPU. All are called on the vCPU's own stack. */
export interface GuestHooks {
  /** False if evtchn_upcall_pending is clear: a cheap look that spares the full one. May be true without cause. */
  upcallPossible(): boolean;
  /** The guest enters the hypervisor. `name` as Xen spells it. */
  hypercallEnter(name: string): void;
  /** The hypercall is done; a look for upcalls follows. */
  hypercallExit(): void;
  /**
   * evtchn_upcall_pending was found set, masked or not. An engine that sets a bit of it to make the guest look
   * answers here.
   */
  interrupted(): void;
  /** The event callback is about to run, upcalls masked. */
  upcallEnter(): void;
  /** The event callback has returned, upcalls about to be unmasked. */
  upcallExit(): void;
  /** The body of a spin-wait loop; a look for upcalls follows. */
  relax(): void;
  /** @param n - an integer of at least 1 */
  choose(n: number): number;
  random(): number;
  now(): number;
  log(values: readonly unknown[]): void;
  /** Output of a domain's PV console, from the console daemon. @param bytes - borrowed until it returns */
  consoleOutput(domainId: number, bytes: Uint8Array): void;
  /** Where the sectors of a disk are; without it, in the domain's memory. */
  openDisk?(place: DiskPlace): SectorStore;
  cover(label: string): void;
  /**
   * The guest failed for good: ends the execution and unwinds the stack, whatever the guest catches.
   * An exception of the engine's own that unwinds an upcall handler passes here too and has to go on as it is.
   */
  crash(cause: unknown): never;
}

export interface GuestVcpuParts {
  readonly hypervisor: Hypervisor;
  readonly current: HvVcpu;
  /** What the guest sees: each access opens a window, in which the engine calls deliverUpcalls. */
  readonly memory: Memory;
  /** The same memory without windows, for the processor's own look at the upcall bytes. */
  readonly raw: Memory;
  /** Another domain's memory as this vCPU's accesses reach it, without windows. */
  readonly foreign: (domainId: number) => Memory;
  readonly domain: GuestDomain;
  readonly words: WordTable;
  readonly hooks: GuestHooks;
}

/** By the memory they are made over: hundreds of immutable objects each, and engines make vCPUs over and over. */
const sharedInfoViews = new WeakMap<Memory, SharedInfoView>();

export class GuestVcpu implements ServiceVcpu, HypercallGate {
  readonly id: number;
  readonly domain: GuestDomain;
  readonly memory: Memory;
  readonly words: Words;
  readonly hypercall: Hypercalls;

  private readonly hypervisor: Hypervisor;
  private readonly current: HvVcpu;
  private readonly raw: Memory;
  private readonly foreign: GuestVcpuParts['foreign'];
  private readonly hooks: GuestHooks;
  /** The event callback (CALLBACKTYPE_event). */
  private callback: (() => void) | undefined;
  /** Scratch: the view of vcpu_info made last; made anew when the structure was moved. */
  private $info: VcpuInfoView | undefined;

  constructor(parts: GuestVcpuParts) {
    this.hypervisor = parts.hypervisor;
    this.current = parts.current;
    this.raw = parts.raw;
    this.foreign = parts.foreign;
    this.hooks = parts.hooks;
    this.id = parts.current.vcpuId;
    this.domain = parts.domain;
    this.memory = parts.memory;
    this.words = bindWords(parts.memory, parts.words);
    this.hypercall = createHypercalls(parts.hypervisor, parts.current, this);
  }

  foreignMemory(dom: number): Memory {
    const { machine } = this.hypervisor;
    if (!this.current.domain.config.privileged) throw new HypercallError('foreign mapping', -Errno.EPERM);
    if (machine.domainById(dom) === undefined) throw new HypercallError('foreign mapping', -Errno.ESRCH);
    return this.foreign(dom);
  }

  disk(name: string): Disk {
    const { disks, name: domain } = this.domain;
    const place = Object.hasOwn(disks, name) ? disks[name] : undefined;
    if (place === undefined) throw new RangeError(`domain '${domain}' has no disk '${name}': add it to its disks`);
    const sectors = this.hooks.openDisk?.(place) ?? new MemorySectors(this.memory, place.address);
    return new HostDisk(place, sectors, this.memory);
  }

  get sharedInfo(): SharedInfoView {
    let view = sharedInfoViews.get(this.memory);
    if (view === undefined) {
      const { abi, sharedInfoAddress } = this.current.domain;
      view = new SharedInfoView(this.memory, abi, sharedInfoAddress);
      sharedInfoViews.set(this.memory, view);
    }
    return view;
  }

  get info(): VcpuInfoView {
    const address = this.hypervisor.vcpuInfoAddress(this.current);
    if (this.$info === undefined || this.$info.address !== address) this.$info = this.viewInfo(address);
    return this.$info;
  }

  /** On Arm the mask is no byte of the structure but a flag of the processor: the guest finds it under the same name. */
  private viewInfo(address: number): VcpuInfoView {
    const { domain } = this.current;
    const view = new VcpuInfoView(this.memory, domain.abi, address);
    if (domain.isX86) return view;
    const flag = new ByteField(domain.state, this.current.address + VCPU_IRQ_MASKED);
    return Object.defineProperty(view, 'evtchn_upcall_mask', { value: flag });
  }

  /** For a guest that is executed anew with the same object: no callback is registered. */
  restart(): void {
    this.callback = undefined;
  }

  onUpcall(handler: () => void): void {
    if (typeof handler !== 'function') throw new TypeError('onUpcall: the handler must be a function');
    this.callback = handler;
  }

  block(): void {
    this.hypercall.sched.block();
  }

  relax(): void {
    this.hooks.relax();
    this.deliverUpcalls();
  }

  assert(condition: unknown, message?: string): void {
    if (!condition) this.hooks.crash(new GuestAssertionError(message ?? 'assertion failed'));
  }

  choose(n: number): number {
    if (!Number.isInteger(n) || n < 1) throw new RangeError(`choose: n must be an integer of at least 1, not ${n}`);
    return this.hooks.choose(n);
  }

  random(): number {
    return this.hooks.random();
  }

  now(): number {
    return this.hooks.now();
  }

  log(...values: unknown[]): void {
    this.hooks.log(values);
  }

  writeHost(domainId: number, bytes: Uint8Array): void {
    this.hooks.consoleOutput(domainId, bytes);
  }

  cover(label: string): void {
    this.hooks.cover(label);
  }

  /** Gate of the hypercalls: a window before, the look of Xen's return path after. */
  enter(name: string): void {
    if (this.hooks.upcallPossible()) this.deliverUpcalls();
    this.hooks.hypercallEnter(name);
  }

  exit(): void {
    this.hooks.hypercallExit();
    if (this.hooks.upcallPossible()) this.deliverUpcalls();
  }

  /**
   * Enters the event callback for as long as an upcall is pending and upcalls are not masked, as Xen does on each
   * return to the guest. Both bytes change on this vCPU's own thread or 0 -> 1 elsewhere, so program order is all
   * it needs. The callback runs with upcalls masked; returning from it is the iret that unmasks them, since
   * it was entered with the mask clear.
   * @source xen/arch/x86/x86_64/entry.S, test_all_events and create_bounce_frame
   */
  deliverUpcalls(): void {
    const { vcpuState } = this.hypervisor;
    // A vCPU without vcpu_info looks at frame 0, which holds nothing. Looked up anew each time: structures move.
    while (this.raw.read8(this.hypervisor.vcpuInfoAddress(this.current)) !== 0) {
      this.hooks.interrupted();
      if (!vcpuState.upcallDeliverable(this.current)) return;
      this.takeUpcall();
    }
  }

  private takeUpcall(): void {
    const { callback, current, hypervisor } = this;
    const hooks: GuestHooks = this.hooks;
    if (callback === undefined) {
      hooks.crash(new GuestCrashError('an upcall arrived with no callback registered: call vcpu.onUpcall first'));
    }
    hypervisor.vcpuState.setUpcallMask(current, 1);
    hooks.upcallEnter();
    try {
      callback();
    } catch (thrown) {
      // Not for the guest code that happens to be interrupted: it might swallow it.
      hooks.crash(thrown);
    }
    hooks.upcallExit();
    hypervisor.vcpuState.setUpcallMask(current, 0);
  }
}
