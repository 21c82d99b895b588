/** What `run` can be told, and the defaults. */
import { ScenarioError } from '../errors';
import type { ScenarioOptions } from '../machine-plan';
import { show } from '../scenario-validation';
import type { Dump } from '../snapshot/dump-file';

/** A guest may be this long without a hypercall, an upcall or a line of output. */
const DEFAULT_WATCHDOG_MS = 10_000;
export const DEFAULT_MEMORY_LIMIT_MB = 256;
const LEAST_MEMORY_LIMIT_MB = 8;

/** A line from the console or the log of a run. */
export interface OutputLine {
  /** Name of the domain; of the device for a device's log. */
  readonly domain: string;
  readonly domainId: number;
  /** Absent for a device's log, and for a PV console. */
  readonly vcpu?: number;
  readonly text: string;
}

/** What a domain has written to its PV console. */
export interface ConsoleOutput {
  readonly domain: string;
  readonly domainId: number;
  readonly bytes: Uint8Array;
}

/** Figures of a vCPU at some moment of a run. */
export interface VcpuProgress {
  readonly id: number;
  readonly state: 'starting' | 'running' | 'blocked' | 'offline' | 'finished';
  readonly upcalls: number;
  readonly hypercalls: number;
  readonly events: number;
}

export interface DomainProgress {
  readonly name: string;
  readonly vcpus: readonly VcpuProgress[];
}

/** How far a run has come. */
export interface RunProgress {
  readonly elapsedMs: number;
  readonly domains: readonly DomainProgress[];
}

/** Console input: text, or a source of it such as process.stdin. */
export type ConsoleInput = string | Uint8Array | AsyncIterable<string | Uint8Array>;

export interface RunOptions extends ScenarioOptions {
  /** Seed of vcpu.random and vcpu.choose, 0 .. 2^32-1; random if absent, and part of the result. */
  readonly seed?: number;
  /** Ends the run; its domains exit with reason 'aborted'. */
  readonly signal?: AbortSignal;
  /** Longest silence of a running guest before it counts as hung; 0 or Infinity for no limit. Default 10 s. */
  readonly watchdogMs?: number;
  /** Whether an idle vCPU watches for events before it sleeps. Default: if there is a core for each vCPU. */
  readonly haltPolling?: boolean;
  /** What to do when every vCPU is blocked for good: end the domains (default), or wait to be aborted. */
  readonly onDeadlock?: 'exit' | 'wait';
  /** Heap of each vCPU's thread in MiB, at least 8. Default 256. */
  readonly memoryLimitMb?: number;
  /** Input for the handler of VIRQ_CONSOLE; where there is none, for the first domain's PV console. */
  readonly input?: ConsoleInput;
  /** Input for the PV consoles of domains, by name; instead of what the scenario says is typed there. */
  readonly consoleInput?: Readonly<Record<string, ConsoleInput>>;
  /** What domains write to their PV consoles, as it comes. */
  readonly onConsoleOutput?: (output: ConsoleOutput) => void;
  /** Each line written to the hypervisor's console or to a PV console. */
  readonly onConsole?: (line: OutputLine) => void;
  /** Each line of vcpu.log and device.log. */
  readonly onLog?: (line: OutputLine) => void;
  /**
   * Path of a socket to make: while the run goes on, `upcall ps` and `upcall top` show its domains there. See monitor/README.md.
   */
  readonly control?: string;
  /** Called once if the run fails: the machine's state when the first domain ended badly. */
  readonly onDump?: (dump: Dump) => void;
  /** Called about twice a second while the guests run. */
  readonly onProgress?: (progress: RunProgress) => void;
}

/** The newest events of each vCPU that a recorded run keeps, unless told otherwise, and at most. */
export const DEFAULT_RECORDED_EVENTS = 10_000;
export const MOST_RECORDED_EVENTS = 1_000_000;

/** The options with their defaults, checked. */
export interface CheckedRunOptions extends RunOptions {
  /** Present: the run is recorded, so many events of each thread are kept. */
  readonly record?: number;
  readonly seed: number;
  readonly watchdogMs: number;
  readonly onDeadlock: 'exit' | 'wait';
  readonly memoryLimitMb: number;
}

/** @throws ScenarioError SCENARIO_OPTION */
export function checkRunOptions(options: RunOptions): CheckedRunOptions {
  const {
    seed = Math.floor(Math.random() * 2 ** 32),
    watchdogMs = DEFAULT_WATCHDOG_MS,
    onDeadlock = 'exit',
    memoryLimitMb = DEFAULT_MEMORY_LIMIT_MB,
  } = options;
  check('seed', seed, 'an integer from 0 to 4294967295', Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32);
  check('watchdogMs', watchdogMs, 'a number of milliseconds, 0 for no limit', watchdogMs >= 0);
  check('onDeadlock', onDeadlock, "'exit' or 'wait'", onDeadlock === 'exit' || onDeadlock === 'wait');
  check('memoryLimitMb', memoryLimitMb, `at least ${LEAST_MEMORY_LIMIT_MB}`, memoryLimitMb >= LEAST_MEMORY_LIMIT_MB);
  return {
    ...options,
    seed,
    watchdogMs: watchdogMs === 0 ? Number.POSITIVE_INFINITY : watchdogMs,
    onDeadlock,
    memoryLimitMb,
  };
}

/** @throws ScenarioError SCENARIO_OPTION */
export function checkRecordedEvents(events: number): number {
  const expected = `an integer from 1 to ${MOST_RECORDED_EVENTS}`;
  check('record', events, expected, Number.isInteger(events) && events >= 1 && events <= MOST_RECORDED_EVENTS);
  return events;
}

function check(option: string, value: unknown, expected: string, holds: boolean): void {
  if (!holds) throw new ScenarioError('SCENARIO_OPTION', `${option} must be ${expected}, not ${show(value)}`);
}
