/**
 * `explore`: how fast the inline engine and its strategies are, on the models that other tools publish figures for. Each model is
 * measured beside the same model as hand-written generators, executed as often under a random scheduler, and beside the figure
 * recorded for the best peer; the latter were taken on another day, so only the former ratio is of one run.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Strategy } from '../../engine/inline/strategy';
import { type BareOptions, exploreBare } from '../../explore/bare';
import { DfsStrategy } from '../../explore/dfs';
import { DporStrategy } from '../../explore/dpor';
import { PctStrategy } from '../../explore/pct';
import { PosStrategy } from '../../explore/pos';
import { RandomStrategy } from '../../explore/random';
import type { BenchGroup } from './group';
import { type BenchResult, measurePairs, median, type Pair, SAMPLES } from './measure';
import { announced, counter, evtchn, lastZero, type Model, raw, readers } from './models';

const run = promisify(execFile);
const SEARCH_ONCE = path.join(__dirname, 'search-once.js');

interface Outcome {
  readonly ms: number;
  readonly executions: number;
  readonly steps: number;
}

/** One exploration, in a microtask, where unwinding costs least. */
async function explored(model: Model, strategy: Strategy, options: BareOptions = {}): Promise<Outcome> {
  await new Promise(setImmediate);
  await null;
  const start = performance.now();
  const { executions, engine, failure } = exploreBare(model.programs, strategy, { words: model.words, ...options });
  const ms = performance.now() - start;
  if (failure !== null) throw new Error(`${model.name}: ${failure.message}`);
  return { ms, executions, steps: engine.steps };
}

/** The generators' way: as many executions under a random scheduler. Returns ms. */
function generated(model: Model, executions: number): number {
  let state = 0x9e3779b9;
  const start = performance.now();
  for (let execution = 0; execution < executions; execution++) {
    const live = model.generators(new Int32Array(model.words));
    while (live.length > 0) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      const index = (state >>> 8) % live.length;
      if (live[index]?.next().done) live.splice(index, 1);
    }
  }
  return performance.now() - start;
}

/** A loop of 100 atomic adds: accesses per second. */
function bareAdds(): number {
  const words = new Int32Array(new SharedArrayBuffer(64));
  const loops = 20_000;
  const start = performance.now();
  for (let loop = 0; loop < loops; loop++) {
    for (let i = 0; i < 100; i++) Atomics.add(words, i & 3, 1);
  }
  return (loops * 100 * 1000) / (performance.now() - start);
}

/** An exhaustive search: exact count, and the time it takes. `recordedMs` is the best peer's. */
function exhaustive(model: Model, expected: number, recordedMs: number | undefined, options: BareOptions = {}): Pair[] {
  const subject = async () => {
    const { ms, executions } = await explored(model, new DporStrategy(), options);
    if (executions !== expected) throw new Error(`${model.name}: ${executions} executions in place of ${expected}`);
    return ms;
  };
  const pair: Pair = {
    name: `dpor, ${model.name}: ${expected} executions`,
    unit: 'ms',
    subject,
    baseline: { name: 'as many executions of generators', sample: () => generated(model, expected) },
  };
  if (recordedMs === undefined) return [pair];
  return [
    pair,
    {
      ...pair,
      baseline: { name: 'Nidhugg, optimal (recorded)', sample: () => recordedMs },
      goal: { of: 'median', atMost: recordedMs },
    },
  ];
}

/** The evtchn model in its real form, over the hypervisor's own code: as many executions, beside the model in words. */
function overHypervisor(rounds: number, sends: number, expected: number): Pair {
  const model = evtchn(true, rounds, sends);
  const args = JSON.stringify({ fixed: true, rounds, sends });
  const subject = async () => {
    const { stdout } = await run(process.execPath, [SEARCH_ONCE, 'evtchn.js', args]);
    const { ms, executions, complete, failure } = JSON.parse(stdout) as Record<string, unknown>;
    if (failure === null && complete === true && executions === expected) return ms as number;
    throw new Error(`evtchn over the hypervisor: ${failure ?? `${executions} executions in place of ${expected}`}`);
  };
  const inWords = async () => (await explored(model, new DporStrategy(), { check: requireAnnounced })).ms;
  return {
    name: `dpor, ${model.name}, over the hypervisor: ${expected} executions`,
    unit: 'ms',
    subject,
    baseline: { name: 'the model in words', sample: inWords },
    note: 'from a cold start',
  };
}

/** Executions per second. */
function rate(name: string, model: Model, make: () => Strategy, goal: number, options: BareOptions = {}): Pair {
  let executions = 0;
  const subject = async () => {
    // Small spaces are searched again until the clock can tell.
    let ms = 0;
    executions = 0;
    while (ms < 60) {
      const outcome = await explored(model, make(), { maxExecutions: 50_000, ...options });
      ms += outcome.ms;
      executions += outcome.executions;
    }
    return (executions * 1000) / ms;
  };
  const sample = () => (20_000 * 1000) / generated(model, 20_000);
  const baseline = { name: 'generators, random scheduler', sample };
  return {
    name: `${name}, ${model.name}`,
    unit: 'executions/s',
    subject,
    baseline,
    goal: { of: 'median', atLeast: goal },
  };
}

/** Accesses per second of a random strategy on two programs of 50 accesses. */
function accesses(name: string, make: () => Strategy, goal: number): Pair {
  return {
    name: `${name}, raw 2×50`,
    unit: 'accesses/s',
    subject: async () => {
      const { ms, steps } = await explored(raw(), make(), { maxExecutions: 5000 });
      return (steps * 1000) / ms;
    },
    baseline: { name: 'loop of 100 Atomics.add', sample: bareAdds },
    goal: { of: 'median', atLeast: goal },
  };
}

/** Executions until a strategy finds the bug of the evtchn model: median of 20 seeds. */
function toFirstFailure(name: string, make: (seed: number) => Strategy, recorded: number): BenchResult {
  const counts = Array.from({ length: 20 }, (_, seed) => {
    const options = { words: 4, maxExecutions: 100_000, check: requireAnnounced };
    return exploreBare(evtchn(false).programs, make(seed + 1), options).executions;
  });
  const value = median(counts);
  return {
    name: `${name}, evtchn buggy, to the first failure`,
    unit: 'executions',
    median: value,
    min: Math.min(...counts),
    max: Math.max(...counts),
    baseline: { name: 'Shuttle (recorded)', median: recorded },
    ratio: value / recorded,
    goal: { of: 'median', atMost: recorded },
    note: '20 seeds',
  };
}

function requireAnnounced(memory: { load32(address: number): number }): void {
  if (!announced(memory)) throw new Error('pending, unmasked and announced to nobody');
}

/** Heap growth over a long random exploration, in bytes per execution. */
async function growth(): Promise<BenchResult> {
  const samples: number[] = [];
  const engineGrowth = async (maxExecutions: number) => {
    const before = process.memoryUsage().heapUsed;
    await explored(raw(), new PctStrategy(2, 1), { maxExecutions });
    return process.memoryUsage().heapUsed - before;
  };
  await engineGrowth(1000);
  for (let i = 0; i < SAMPLES; i++) samples.push((await engineGrowth(100_000)) / 100_000);
  return {
    name: 'heap growth, pct 2, raw 2×50',
    unit: 'bytes per execution',
    median: median(samples),
    min: Math.min(...samples),
    max: Math.max(...samples),
    baseline: { name: 'one small object', median: 24 },
    ratio: median(samples) / 24,
    goal: { of: 'median', atMost: 24 },
  };
}

export const explore: BenchGroup = {
  name: 'explore',
  description: 'exhaustive and random search on the models of other tools',
  async measure(signal) {
    const fixed = { check: requireAnnounced };
    const pairs = [
      ...exhaustive(lastZero(8), 704, 150),
      ...exhaustive(lastZero(10), 3328, 510),
      ...exhaustive(lastZero(12), 15360, 3500),
      ...exhaustive(counter(3, 3), 1680, 130),
      ...exhaustive(counter(3, 4), 34650, 2700),
      ...exhaustive(readers(12), 4096, 710),
      ...exhaustive(evtchn(true), 47, 20, fixed),
      ...exhaustive(evtchn(true, 3, 3), 3535, 370, fixed),
      ...exhaustive(evtchn(true, 30), 46901, 11000, fixed),
      overHypervisor(3, 1, 47),
      overHypervisor(3, 3, 3535),
      overHypervisor(30, 1, 46901),
      rate('dpor', counter(3, 3), () => new DporStrategy(), 200_000),
      rate('dfs', counter(3, 3), () => new DfsStrategy(), 200_000),
      rate('dpor', evtchn(true, 3, 3), () => new DporStrategy(), 100_000, fixed),
      rate('dfs', evtchn(true), () => new DfsStrategy(), 100_000, fixed),
      accesses('random', () => new RandomStrategy(1), 4e6),
      accesses('pct 2', () => new PctStrategy(2, 1), 8e6),
      accesses('pct 3', () => new PctStrategy(3, 1), 8e6),
    ];
    const results = await measurePairs(pairs, signal);
    return [
      ...results,
      toFirstFailure('random', (seed) => new RandomStrategy(seed), 11),
      toFirstFailure('pct 2', (seed) => new PctStrategy(2, seed), 17),
      toFirstFailure('pct 3', (seed) => new PctStrategy(3, seed), 9),
      toFirstFailure('pos', (seed) => new PosStrategy(seed), 11),
      await growth(),
    ];
  },
};
