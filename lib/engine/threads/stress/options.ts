/** What `stress` can be told, the defaults, and what it comes to. */
import { ScenarioError } from '../../errors';
import type { ScenarioOptions } from '../../machine-plan';
import { show } from '../../scenario-validation';
import type { DomainSnapshot } from '../../snapshot/schema';
import type { ThreadLog } from '../record/access-log';
import type { StressFailureKind } from './session';

const DEFAULT_DURATION_MS = 10_000;
/** Longest time an iteration may take. */
const DEFAULT_WATCHDOG_MS = 5000;
const DEFAULT_MEMORY_LIMIT_MB = 256;

export interface StressProgress {
  readonly iterations: number;
  readonly elapsedMs: number;
  readonly iterationsPerSecond: number;
  readonly failures: number;
}

export interface StressOptions extends ScenarioOptions {
  /** Ends after so many iterations. */
  readonly iterations?: number;
  /** Ends after so long. Default 10 s, unless `iterations` is given. */
  readonly durationMs?: number;
  /** Delays at accesses, so that narrow windows open. */
  readonly chaos?: boolean;
  /** Seed of vcpu.random, vcpu.choose and chaos, 0 .. 2^32-1; random if absent, and part of the result. */
  readonly seed?: number;
  /** Ends after so many failures. Default 1. */
  readonly maxFailures?: number;
  /** An iteration that takes longer is a livelock. Default 5 s. */
  readonly watchdogMs?: number;
  /** Heap of each thread in MiB. Default 256. */
  readonly memoryLimitMb?: number;
  /** Ends the stress; the result tells what is known by then. */
  readonly signal?: AbortSignal;
  /** Path of a socket to make: while the stress goes on, `upcall ps` and `upcall top` show its domains there. */
  readonly control?: string;
  /** Called about twice a second. */
  readonly onProgress?: (progress: StressProgress) => void;
}

export type CheckedStressOptions = StressOptions &
  Required<
    Pick<StressOptions, 'iterations' | 'durationMs' | 'chaos' | 'seed' | 'maxFailures' | 'watchdogMs' | 'memoryLimitMb'>
  >;

/** An iteration that failed. */
export interface StressFailure {
  /** From 1. */
  readonly iteration: number;
  readonly kind: StressFailureKind;
  /** One line. */
  readonly message: string;
  /**
   * Of the iteration: as --seed it gives the first iteration the same random numbers, choices and kind of chaos. Where a vCPU is held
   * depends on how long earlier iterations were.
   */
  readonly seed: number;
  /** Where it happened, if it happened in one. */
  readonly domain?: string;
  readonly vcpu?: number;
  /** Of the error, in the user's files. */
  readonly stack?: string;
  /** What the guest did would take the thread with it that executes it: it is not to be tried on the main thread. */
  readonly threadsOnly: boolean;
  /** The last accesses of each vCPU of the machine. */
  readonly logs: readonly ThreadLog[];
  /** The machine when it failed: before its vCPUs were told to leave, where the main thread found out, else after. */
  readonly domains: readonly DomainSnapshot[];
}

/** What stress comes to, as the engine knows it. */
export interface StressRunResult {
  readonly scenario: string;
  readonly seed: number;
  readonly chaos: boolean;
  readonly iterations: number;
  readonly elapsedMs: number;
  readonly iterationsPerSecond: number;
  readonly interrupted: boolean;
  readonly failures: readonly StressFailure[];
}

/** @throws ScenarioError SCENARIO_OPTION */
export function checkStressOptions(options: StressOptions): CheckedStressOptions {
  const { chaos = false, maxFailures = 1, watchdogMs = DEFAULT_WATCHDOG_MS } = options;
  const { seed = Math.floor(Math.random() * 2 ** 32), memoryLimitMb = DEFAULT_MEMORY_LIMIT_MB } = options;
  const { iterations = Number.POSITIVE_INFINITY } = options;
  const unlimited = options.iterations !== undefined;
  const { durationMs = unlimited ? Number.POSITIVE_INFINITY : DEFAULT_DURATION_MS } = options;
  check('iterations', iterations, 'an integer of at least 1', iterations === Infinity || isCount(iterations));
  check('durationMs', durationMs, 'a number of milliseconds above 0', durationMs > 0);
  check('chaos', chaos, 'true or false', typeof chaos === 'boolean');
  check('seed', seed, 'an integer from 0 to 4294967295', Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32);
  check('maxFailures', maxFailures, 'an integer of at least 1', isCount(maxFailures));
  check('watchdogMs', watchdogMs, 'a number of milliseconds above 0', watchdogMs > 0);
  check('memoryLimitMb', memoryLimitMb, 'at least 8', memoryLimitMb >= 8);
  return { ...options, iterations, durationMs, chaos, seed, maxFailures, watchdogMs, memoryLimitMb };
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function check(option: string, value: unknown, expected: string, holds: boolean): void {
  if (!holds) throw new ScenarioError('SCENARIO_OPTION', `${option} must be ${expected}, not ${show(value)}`);
}
