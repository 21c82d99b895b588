/** What `explore` can be told, checked, with the defaults. */
import { UpcallError } from '../engine/errors';
import type { HypercallSteps, MemoryModel } from '../engine/inline/event-stack';
import type { Strategy } from '../engine/inline/strategy';
import type { ScenarioOptions } from '../engine/machine-plan';
import { DfsStrategy } from './dfs';
import { DporStrategy } from './dpor';
import { DEFAULT_WATCHDOG_MS } from './guest-time';
import { PctStrategy } from './pct';
import { PosStrategy } from './pos';
import { RandomStrategy } from './random';

export const STRATEGIES = ['dpor', 'dfs', 'random', 'pct', 'pos'] as const;
export type StrategyName = (typeof STRATEGIES)[number];

export const MEMORY_MODELS = ['sc', 'tso'] as const;

export const HYPERCALL_STEPS = ['fine', 'atomic'] as const;

/** An option of explore or replay cannot be used. */
export class ExploreOptionError extends UpcallError {
  override readonly name = 'ExploreOptionError';

  constructor(message: string) {
    super('EXPLORE_OPTION', message);
  }
}

/** How far an exploration has come. */
export interface ExploreProgress {
  readonly executions: number;
  readonly blocked: number;
  readonly steps: number;
  readonly elapsedMs: number;
  readonly executionsPerSecond: number;
  /** Different outcomes so far. */
  readonly outcomes: number;
  /** Of an exhaustive search: the part of the tree of schedules, by weight, that is behind; 0 to 1. See Estimate. */
  readonly explored?: number;
}

export interface ExploreOptions extends ScenarioOptions {
  /** Default 'dpor'. */
  readonly strategy?: StrategyName;
  /** Default 'sc'. */
  readonly memoryModel?: MemoryModel;
  /**
   * 'fine' (default): every access inside the hypervisor is a step. 'atomic': each hypercall is one, and so is what a
   * device or the timer does in the hypervisor; one that sleeps ends its step there. Under tso an atomic hypercall begins
   * and ends with the store buffer empty.
   */
  readonly hypercalls?: HypercallSteps;
  /** Two plain accesses of guests or devices to the same byte, one a write, that nothing orders are a failure. */
  readonly dataRaces?: boolean;
  /** Seed of the random strategies and of vcpu.random, 0 .. 2^32-1; default 1. */
  readonly seed?: number;
  /** Ends the exploration after so many executions. Default: 100,000 for random strategies, else no limit. */
  readonly maxExecutions?: number;
  /** Steps after which an execution counts as a livelock. Default 20,000. */
  readonly maxSteps?: number;
  /** Only schedules with at most so many preemptions (dfs). */
  readonly preemptionBound?: number;
  /** Ordering constraints of the bugs looked for (pct). Default 3. */
  readonly depth?: number;
  /** Steps of timers and of each device in one execution. Default 16. */
  readonly hardwareSteps?: number;
  /** Gather what is covered, at some cost: see ExploreReport.coverage. Default false. */
  readonly coverage?: boolean;
  /**
   * Worker threads that explore, 1 to 256; default: none, this thread does. The verdict is the same, and so are, where nothing fails, the
   * executions of an exhaustive strategy; a random one makes the same executions whatever the number.
   */
  readonly workers?: number;
  /** Longest time (ms) one execution may take: then a guest is taken to loop for ever. Default 10,000; 0: no limit. */
  readonly watchdogMs?: number;
  /** Ends the exploration; the result tells what is known by then. */
  readonly signal?: AbortSignal;
  /** Called a few times a second. */
  readonly onProgress?: (progress: ExploreProgress) => void;
}

export type CheckedOptions = Required<Omit<ExploreOptions, 'signal' | 'onProgress' | keyof ScenarioOptions>> &
  Pick<ExploreOptions, 'signal' | 'onProgress' | keyof ScenarioOptions>;

const DEFAULT_RANDOM_EXECUTIONS = 100_000;
const MOST_WORKERS = 256;

/** @throws ExploreOptionError naming the option and what it may be */
export function checkExploreOptions(options: ExploreOptions): CheckedOptions {
  const strategy = options.strategy ?? 'dpor';
  if (!STRATEGIES.includes(strategy)) throw bad(`unknown strategy '${strategy}': there are ${STRATEGIES.join(', ')}`);
  const memoryModel = options.memoryModel ?? 'sc';
  if (!MEMORY_MODELS.includes(memoryModel)) {
    throw bad(`unknown memory model '${memoryModel}': there are ${MEMORY_MODELS.join(', ')}`);
  }
  const hypercalls = options.hypercalls ?? 'fine';
  if (!HYPERCALL_STEPS.includes(hypercalls)) {
    throw bad(`hypercalls must be ${HYPERCALL_STEPS.join(' or ')}, not ${String(hypercalls)}`);
  }
  const dataRaces = options.dataRaces ?? false;
  if (typeof dataRaces !== 'boolean') throw bad(`dataRaces must be true or false, not ${String(dataRaces)}`);
  if (options.preemptionBound !== undefined && strategy !== 'dfs') {
    throw bad(`a preemption bound goes with strategy dfs, not with ${strategy}`);
  }
  const exhaustive = isExhaustive(strategy);
  return {
    ...options,
    strategy,
    memoryModel,
    hypercalls,
    dataRaces,
    seed: integer('seed', options.seed ?? 1, 0, 2 ** 32 - 1),
    maxExecutions: limit(
      'maxExecutions',
      options.maxExecutions ?? (exhaustive ? Number.POSITIVE_INFINITY : DEFAULT_RANDOM_EXECUTIONS),
    ),
    maxSteps: integer('maxSteps', options.maxSteps ?? 20_000, 1, 10_000_000),
    preemptionBound: limit('preemptionBound', options.preemptionBound ?? Number.POSITIVE_INFINITY, 0),
    depth: integer('depth', options.depth ?? 3, 1, 100),
    hardwareSteps: integer('hardwareSteps', options.hardwareSteps ?? 16, 1, 1_000_000),
    coverage: options.coverage === true,
    workers: options.workers === undefined ? 0 : integer('workers', options.workers, 1, MOST_WORKERS),
    watchdogMs: integer('watchdogMs', options.watchdogMs ?? DEFAULT_WATCHDOG_MS, 0, 2 ** 31 - 1),
  };
}

export function isExhaustive(strategy: StrategyName): strategy is 'dpor' | 'dfs' {
  return strategy === 'dpor' || strategy === 'dfs';
}

/** A strategy that is through when the space is. */
export function makeExhaustive(options: CheckedOptions): DporStrategy | DfsStrategy {
  return options.strategy === 'dfs' ? new DfsStrategy(options.preemptionBound) : new DporStrategy();
}

/**
 * Executions of a random strategy that follow from a seed of their own, machine and strategy made anew: who makes which of these
 * blocks, and when, changes nothing. The first has the seed given.
 */
export const BLOCK = 4096;

/** @param block - from 0 */
export function makeSampling({ strategy, depth, seed }: CheckedOptions, block: number): Strategy {
  const blockSeed = (seed ^ Math.imul(block, 0x85ebca6b)) >>> 0;
  switch (strategy) {
    case 'pct':
      return new PctStrategy(depth, blockSeed);
    case 'pos':
      return new PosStrategy(blockSeed);
    default:
      return new RandomStrategy(blockSeed);
  }
}

function integer(name: string, value: number, from: number, to: number): number {
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw bad(`${name} must be an integer from ${from} to ${to}, not ${String(value)}`);
}

function limit(name: string, value: number, from = 1): number {
  return value === Number.POSITIVE_INFINITY ? value : integer(name, value, from, Number.MAX_SAFE_INTEGER);
}

function bad(message: string): ExploreOptionError {
  return new ExploreOptionError(message);
}
