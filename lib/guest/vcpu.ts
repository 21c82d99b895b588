/**
 * What a guest is handed: one {@link Vcpu} per virtual CPU. Guest code and the guest kernel library know
 * the machine through these interfaces alone; engines implement them.
 */
import type { Memory } from '../memory/memory';
import type { SharedInfoView, VcpuInfoView } from '../memory/views';
import type { Disk, DiskPlace } from './disk';

/** A named 32-bit word in the domain's memory. Values are signed 32-bit, as in {@link Memory}. */
export interface Word {
  /** Byte address in the domain's memory. */
  readonly address: number;
  read(): number;
  write(value: number): void;
  load(): number;
  store(value: number): void;
  add(value: number): number;
  and(value: number): number;
  or(value: number): number;
  xor(value: number): number;
  exchange(value: number): number;
  compareExchange(expected: number, replacement: number): number;
}

/**
 * The scenario's named words; an array in the scenario becomes an array of words. `any` for scenarios that do
 * not name their words' types (`0 extends 1 & W` holds for `any` alone).
 */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Words<W = any> = 0 extends 1 & W ? any : { readonly [K in keyof W]: WordOf<W[K]> };
type WordOf<V> = V extends readonly unknown[] ? { readonly [I in keyof V]: Word } : Word;

/** What EVTCHNOP_status tells of a port. Fields that the status does not define are absent. */
export interface EvtchnStatus {
  /** EVTCHNSTAT_* */
  status: number;
  /** The vCPU the channel notifies. */
  vcpu: number;
  /** unbound: the domain that may bind; interdomain: the peer's domain. */
  dom?: number;
  /** interdomain: the peer's port. */
  port?: number;
  pirq?: number;
  virq?: number;
}

/** VCPUOP_get_runstate_info. Times in nanoseconds. */
export interface RunstateInfo {
  /** RUNSTATE_* */
  state: number;
  stateEntryTimeNs: bigint;
  /** Time spent running, runnable, blocked, offline. */
  timeNs: readonly [bigint, bigint, bigint, bigint];
}

/** EVTCHNOP_*: parameters in the order of Xen's argument structures. Each throws HypercallError. */
export interface EvtchnHypercalls {
  allocUnbound(dom: number, remoteDom: number): number;
  bindInterdomain(remoteDom: number, remotePort: number): number;
  bindVirq(virq: number, vcpu: number): number;
  bindPirq(pirq: number, flags?: number): number;
  bindIpi(vcpu: number): number;
  close(port: number): void;
  send(port: number): void;
  status(dom: number, port: number): EvtchnStatus;
  bindVcpu(port: number, vcpu: number): void;
  unmask(port: number): void;
  reset(dom: number): void;
  /** Returns link_bits. */
  initControl(controlGfn: number, offset: number, vcpu: number): number;
  expandArray(arrayGfn: number): void;
  setPriority(port: number, priority: number): void;
}

/** SCHEDOP_*. */
export interface SchedHypercalls {
  yield(): void;
  block(): void;
  /** @param timeoutNs - absolute system time; 0 for none */
  poll(ports: readonly number[], timeoutNs?: number): void;
  /** Does not return: the domain stops. */
  shutdown(reason: number): never;
  shutdownCode(reason: number): void;
  remoteShutdown(dom: number, reason: number): void;
  /** Returns the id when one was allocated (id 0), else 0. */
  watchdog(id: number, timeoutSeconds: number): number;
}

/** VCPUOP_*. */
export interface VcpuHypercalls {
  initialise(vcpu: number): void;
  up(vcpu: number): void;
  down(vcpu: number): void;
  isUp(vcpu: number): boolean;
  getRunstateInfo(vcpu: number): RunstateInfo;
  registerRunstateMemoryArea(vcpu: number, address: number): void;
  registerVcpuInfo(vcpu: number, mfn: number, offset: number): void;
  setPeriodicTimer(vcpu: number, periodNs: number): void;
  stopPeriodicTimer(vcpu: number): void;
  setSingleshotTimer(vcpu: number, timeoutAbsNs: number, flags?: number): void;
  stopSingleshotTimer(vcpu: number): void;
}

/** An end of a copy: a grant of a domain's, or a frame of one's own (then `domid` is DOMID_SELF). */
export interface GrantCopyEnd {
  readonly domid: number;
  readonly ref?: number;
  readonly gmfn?: number;
  /** In the frame, in bytes; default 0. */
  readonly offset?: number;
}

/**
 * GNTTABOP_*: parameters in the order of Xen's argument structures. Each throws GrantError with the GNTST_* that its operation
 * came to. Several operations in one call: with {@link Hypercalls.raw}.
 */
export interface GrantHypercalls {
  /**
   * @param hostAddr - of a page of {@link GuestDomain.grantWindow} at which nothing is mapped
   * @param flags - GNTMAP_*
   * @param dom - the granting domain, not DOMID_SELF
   */
  mapGrantRef(
    hostAddr: number,
    flags: number,
    ref: number,
    dom: number,
  ): { readonly handle: number; readonly devBusAddr: number };
  /** @param hostAddr, devBusAddr - which part of the mapping ends; 0: that part stays */
  unmapGrantRef(hostAddr: number, devBusAddr: number, handle: number): void;
  /** Numbers of the table's frames, of which there are at least `nrFrames` afterwards. */
  setupTable(dom: number, nrFrames: number): number[];
  querySize(dom: number): { readonly nrFrames: number; readonly maxNrFrames: number };
  copy(source: GrantCopyEnd, dest: GrantCopyEnd, len: number): void;
  /** Always refused. */
  transfer(mfn: number, domid: number, ref: number): void;
  swapGrantRef(refA: number, refB: number): void;
  getVersion(dom: number): number;
}

export interface Hypercalls {
  readonly evtchn: EvtchnHypercalls;
  readonly sched: SchedHypercalls;
  readonly vcpu: VcpuHypercalls;
  readonly grant: GrantHypercalls;
  readonly timer: {
    /** set_timer_op: absolute system time in ns; 0 stops the timer. */
    setTimerOp(deadlineNs: number): void;
  };
  readonly console: {
    /** CONSOLEIO_write. */
    write(text: string | Uint8Array): void;
    /** CONSOLEIO_read: at most `maxBytes` bytes, possibly none. */
    read(maxBytes: number): Uint8Array;
  };
  readonly physdev: {
    eoi(irq: number): void;
    /** XENIRQSTAT_* flags. */
    irqStatusQuery(irq: number): number;
  };
  /** Control domains only. */
  readonly domctl: {
    /** Returns XEN_DOMINF_* flags: whether the domain is shut down, or being destroyed. */
    getDomainInfo(dom: number): number;
  };
  /** HVM parameters of this domain, by HVM_PARAM_*. Domains without start_info find their store and console by them. */
  readonly hvm: {
    /** @param value - below 2^32 */
    setParam(index: number, value: number): void;
    getParam(index: number): number;
  };
  /** XENVER_version: `major << 16 | minor`. */
  xenVersion(): number;
  /**
   * The call a C guest would make: Xen's number, pointers as addresses in the domain's memory, structures there
   * in the ABI's layout.
   * @param number - __HYPERVISOR_*
   * @returns 0 or a result, or a negative errno; never throws for bad arguments
   */
  raw(number: number, ...args: number[]): number;
}

/** Xen's event-channel ABIs: 2-level, and FIFO. */
export const EVENT_ABIS = ['2l', 'fifo'] as const;
export type EventAbi = (typeof EVENT_ABIS)[number];

/** What a vCPU knows of its domain. */
export interface GuestDomain {
  readonly id: number;
  readonly name: string;
  /** x86_64, x86_32, arm64, arm32 */
  readonly abi: string;
  /** Number of vCPUs the domain was built with. */
  readonly vcpus: number;
  /** The event-channel ABI the guest kernel library uses. */
  readonly events: EventAbi;
  /** Highest port the toolstack allows the domain. */
  readonly maxPort: number;
  /** 4096-byte frames of its memory. Those of its grant table follow them. */
  readonly frames: number;
  /** Where its named words begin, and its own memory: below lie shared_info, start_info and the pages of services. */
  readonly wordsAddress: number;
  /** Where it may map other domains' grants: the first address, and how many pages. */
  readonly grantWindow: { readonly address: number; readonly pages: number };
  /** Its disks by name, see {@link Vcpu.disk}. */
  readonly disks: Readonly<Record<string, DiskPlace>>;
  /** The scenario's args (`--args`), frozen. */
  // biome-ignore lint/suspicious/noExplicitAny: the scenario's author knows their shape
  readonly args: any;
  /** Ids of the machine's other domains by the names the scenario gave them, this one included. */
  readonly domains: Readonly<Record<string, number>>;
}

// biome-ignore lint/suspicious/noExplicitAny: see Words
export interface Vcpu<W = any> {
  readonly id: number;
  readonly domain: GuestDomain;
  /** The domain's memory. A window for upcalls opens before each access. */
  readonly memory: Memory;
  /**
   * Another domain's memory, for control domains (what privcmd maps for xenforeignmemory_map). No windows for upcalls open
   * before accesses there.
   * @throws HypercallError EPERM: this domain is no control domain; ESRCH: there is no such domain
   */
  foreignMemory(dom: number): Memory;
  readonly sharedInfo: SharedInfoView;
  /**
   * This vCPU's vcpu_info, wherever it is registered; its address is 0 while the vCPU has none. On Arm
   * evtchn_upcall_mask is the processor's interrupt flag instead of a byte of the structure.
   */
  readonly info: VcpuInfoView;
  readonly words: Words<W>;
  readonly hypercall: Hypercalls;
  /**
   * A disk of the domain.
   * @throws RangeError if it has none of that name
   */
  disk(name: string): Disk;
  /**
   * Registers the event callback (CALLBACKTYPE_event). It runs on this vCPU's stack with upcalls masked; when
   * it returns they are unmasked again. An upcall with no callback registered crashes the domain, as in Xen.
   */
  onUpcall(handler: () => void): void;
  /** SCHEDOP_block: enables upcalls, sleeps until one is deliverable, takes it, returns. */
  block(): void;
  /** The body of a spin-wait loop (PAUSE): nothing changes, somebody else may run. */
  relax(): void;
  /**
   * Ends the execution as an assertion failure if `condition` is false. (No `asserts condition`: TypeScript would
   * then demand a type annotation on every guest's parameter.)
   */
  assert(condition: unknown, message?: string): void;
  /** A nondeterministic choice 0..n-1: exploration tries each, a free run picks one from its seed. */
  choose(n: number): number;
  /** Uniform in [0, 1), from the run's seed; replaces Math.random. */
  random(): number;
  /** Ticks of the 1 GHz clock (the TSC of vcpu_time_info): an integer in nanoseconds. Replaces Date.now. */
  now(): number;
  /** A line for the log of the run or the trace. */
  log(...values: unknown[]): void;
  /** Marks that an execution got here; exploration reports the labels reached and never reached. */
  cover(label: string): void;
}
