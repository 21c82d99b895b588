/**
 * What a user writes: one scenario, one file, for run, stress, explore and replay.
 *
 * {@link defineScenario} checks it at once and freezes it, so that a mistake is reported where it was made and
 * engines need not look again.
 */
import type { AbiName } from '../abi';
import type { EventAbi, Hypercalls, Vcpu, Words } from '../guest/vcpu';
import type { Memory } from '../memory/memory';
import type { SharedInfoView, VcpuInfoView } from '../memory/views';
import type { ConsoleServiceOptions, SetupStore, XenstoreOptions } from '../services';
import type { InvariantSpec } from './invariants/specs';
import { originOfCaller, type ScenarioOrigin } from './scenario-origin';
import { validateScenario } from './scenario-validation';

export type { AbiName };

/** Initial values of named 32-bit words; an array makes as many consecutive words. */
export type WordsSpec = Readonly<Record<string, number | readonly number[]>>;

/** A domain as the toolstack sees it: in setup (before any vCPU starts) and check (after all have stopped). */
// biome-ignore lint/suspicious/noExplicitAny: the default for scenarios that do not name their words' types
export interface ToolstackDomain<W = any> {
  readonly id: number;
  readonly name: string;
  readonly abi: AbiName;
  readonly vcpus: number;
  /** The event-channel ABI the guest kernel library uses. */
  readonly events: EventAbi;
  /** Highest port the toolstack allows the domain. */
  readonly maxPort: number;
  /** 4096-byte frames of its memory; its grant table follows them in {@link memory}. */
  readonly frames: number;
  readonly memory: Memory;
  readonly sharedInfo: SharedInfoView;
  vcpuInfo(vcpu: number): VcpuInfoView;
  /** @throws RangeError if the domain has no disk of that name */
  disk(name: string): ToolstackDisk;
  readonly words: Words<W>;
  /** Hypercalls made on the domain's behalf, as its vCPU 0. Only those that cannot sleep. */
  readonly hypercall: Hypercalls;
}

// biome-ignore lint/suspicious/noExplicitAny: see ToolstackDomain
export interface SetupContext<W = any> {
  /** The only domain, or the first. */
  readonly domain: ToolstackDomain<W>;
  readonly domains: Readonly<Record<string, ToolstackDomain>>;
  // biome-ignore lint/suspicious/noExplicitAny: the scenario's author knows their shape
  readonly args: any;
  /** The machine's store, in a scenario with `xenstore`: nodes may be added before any vCPU runs. */
  readonly xenstore: SetupStore;
}

// biome-ignore lint/suspicious/noExplicitAny: see ToolstackDomain
export interface CheckContext<W = any> extends Omit<SetupContext<W>, 'xenstore'> {
  readonly words: Words<W>;
  /** What each guest function returned, by vCPU; of several domains by name in {@link resultsOf}. */
  readonly results: readonly unknown[];
  readonly resultsOf: Readonly<Record<string, readonly unknown[]>>;
}

/** A hardware actor: runs on its own thread (its own actor in the deterministic engines). */
export interface Device {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: the scenario's author knows their shape
  readonly args: any;
  readonly domains: Readonly<Record<string, ToolstackDomain>>;
  readonly domain: ToolstackDomain;
  /** The physical interrupt fires for every domain that bound it. */
  raisePirq(pirq: number): void;
  /** True while the PIRQ waits for PHYSDEVOP_eoi of some domain. */
  pirqInService(pirq: number): boolean;
  /** Raises a per-vCPU VIRQ. */
  raiseVirq(domain: number, vcpu: number, virq: number): void;
  /** Raises a global VIRQ at its handler domain. */
  raiseGlobalVirq(virq: number): void;
  /** Characters arrive at the console, each raising VIRQ_CONSOLE; what its buffer has no room for is lost. */
  consoleInput(text: string | Uint8Array): void;
  /** Sleeps for that much system time (virtual time in the deterministic engines). */
  sleep(ns: number): void;
  now(): number;
  choose(n: number): number;
  random(): number;
  log(...values: unknown[]): void;
}

export type GuestFunction<W> = (vcpu: Vcpu<W>) => unknown;

// biome-ignore lint/suspicious/noExplicitAny: see ToolstackDomain
export interface DomainSpec<W = any> {
  readonly abi?: AbiName;
  /** 1..128, default 1 (or as many as `guests`). */
  readonly vcpus?: number;
  readonly words?: W;
  /** Runs once per vCPU. */
  readonly guest?: GuestFunction<W>;
  /** A function for each vCPU instead. */
  readonly guests?: readonly GuestFunction<W>[];
  /** 'all' (default): every vCPU is up from the start. 'boot': only vCPU 0 is, it brings up the others. */
  readonly start?: 'all' | 'boot';
  /**
   * The event-channel ABI that `upcall/guest` uses: '2l' (default), or 'fifo', with priorities and up to 131,071 ports. A
   * guest that makes its own hypercalls may enter the FIFO ABI in any case. A domain that states the one it is written for does not
   * run under the other (`--events`).
   */
  readonly events?: EventAbi;
  /** Highest port (max_evtchn_port); default 1023 as libxl, at most the event-channel ABI's. */
  readonly maxPort?: number;
  /** Control domain: may name other domains, read the console. */
  readonly privileged?: boolean;
  /** Handler of the global VIRQs; at most one domain; default the first privileged one. */
  readonly hardwareDomain?: boolean;
  /** Physical interrupts the domain may bind. */
  readonly pirqs?: readonly number[];
  /** 4096-byte frames of guest memory; default 64, or as many as named words and event array take. */
  readonly frames?: number;
  /**
   * The domain serves others (a driver domain): nobody waits for its guests. When all other domains have ended, it finishes what it
   * has been asked; once its vCPUs sleep, or after a while, it is stopped. That it sleeps is no deadlock, and what its guests
   * return is no part of an outcome. If one of them fails, so does the run.
   */
  readonly daemon?: boolean;
  /** Most frames of its grant table, 1..64, of 512 grants each; default 4. One is in use from the start. */
  readonly grantFrames?: number;
  /** Most grants of other domains it may have mapped at a time, 0..65536; default 512. */
  readonly grantMappings?: number;
  /** Disks by name, which its guests find as `vcpu.disk(name)`. */
  readonly disks?: Readonly<Record<string, DiskSpec>>;
}

/** A disk of a domain. It is full of zeros unless set-up or a file says otherwise. */
export interface DiskSpec {
  /** Of 512 bytes; 1 GiB for all disks of a domain together at most. */
  readonly sectors: number;
  readonly readOnly?: boolean;
  /**
   * File that holds the sectors under `run`, made if it does not exist; see also RunOptions.disks. Everywhere else, and without a
   * file, they are in memory and begin as zeros.
   */
  readonly file?: string;
}

/** A disk as the toolstack sees it. */
export interface ToolstackDisk {
  readonly sectors: number;
  readonly readOnly: boolean;
  /** @throws RangeError for sectors that are not there */
  read(sector: number, count: number): Uint8Array;
  /** Whole sectors; a read-only disk too, unless it is a file. @throws RangeError */
  write(sector: number, bytes: Uint8Array): void;
}

// biome-ignore lint/suspicious/noExplicitAny: see ToolstackDomain
export interface ScenarioSpec<W = any, D = any> extends DomainSpec<W> {
  readonly name: string;
  /** One line for listings. */
  readonly description?: string;
  /** Several domains, by name (each typed by its own words), instead of `guest`/`guests` here; ids are 1, 2, … in this order. */
  readonly domains?: { readonly [N in keyof D]: DomainSpec<D[N]> };
  /**
   * The machine has xenstore: Domain-0 runs xenstored, each domain has its page and port (start_info.store_mfn, store_evtchn; on
   * Arm HVM_PARAM_STORE_PFN, _EVTCHN), and finds the nodes libxl would have made.
   */
  readonly xenstore?: boolean | XenstoreOptions;
  /**
   * Each domain has a PV console: Domain-0 runs xenconsoled, each domain has its page and port (start_info.console.domU; on Arm
   * HVM_PARAM_CONSOLE_PFN, _EVTCHN). The options say what is typed where nobody is attached.
   */
  readonly console?: boolean | ConsoleServiceOptions;
  readonly devices?: Readonly<Record<string, (device: Device) => void>>;
  /** Default of `--args`. */
  readonly args?: unknown;
  readonly setup?: (context: SetupContext<W>) => void;
  /** Throws = failure. */
  readonly check?: (context: CheckContext<W>) => void;
  /**
   * Every label of vcpu.cover, so that exploration can tell those never reached. Then a label that is not among them fails the execution
   * under a deterministic engine.
   */
  readonly covers?: readonly string[];
  /** What has to hold besides, see `invariants.ts`: `['no-dead-port', { name: 'ring', prod: 'prod', … }]`. */
  readonly invariants?: readonly InvariantSpec[];
}

const scenarioBrand: unique symbol = Symbol.for('upcall.scenario') as never;

/** A checked and frozen scenario. `W` and `D` are `any` where a function takes any scenario. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export interface Scenario<W = any, D = any> extends ScenarioSpec<W, D> {
  /** Where it was defined: worker threads load it from there. */
  readonly origin: ScenarioOrigin;
}

/**
 * Checks and freezes a scenario; its file exports the result as default.
 * @throws ScenarioError SCENARIO_INVALID, naming the first mistake
 */
export function defineScenario<const W extends WordsSpec, const D>(spec: ScenarioSpec<W, D>): Scenario<W, D> {
  validateScenario(spec);
  const scenario = { ...spec, origin: originOfCaller() };
  Object.defineProperty(scenario, scenarioBrand, { value: true });
  freezeData(scenario);
  return scenario;
}

/** Whether a value was made by {@link defineScenario}, of this copy of the package or another. */
export function isScenario(value: unknown): value is Scenario {
  return typeof value === 'object' && value !== null && scenarioBrand in value;
}

/** Freezes plain objects and arrays all the way down; functions and other objects are left alone. */
export function freezeData<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && !Array.isArray(value)) return value;
  Object.freeze(value);
  for (const each of Object.values(value)) freezeData(each);
  return value;
}
