/**
 * The races of the gallery under stress. `chaos`: iterations to the first failure, with chaos and without. `reconstruct`: of
 * how many failures on threads a schedule is made that fails the same way under both deterministic engines.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { replay } from '../../explore/replay';
import { type StressFailureReport, stress } from '../../explore/stress';
import { PACKAGE_ROOT } from '../package-root';
import type { BenchGroup } from './group';
import { type BenchResult, median } from './measure';

const GALLERY = path.join(PACKAGE_ROOT, 'examples', 'races');
/** Seeds each race is stressed with; what takes longer than the limit has not been found. */
const SEEDS = [1, 2, 3, 4, 5];
const LIMIT_MS = 1000;
const WATCHDOG_MS = 2000;
/** For a failure to reconstruct. */
const PATIENCE_MS = 10_000;

function races(): readonly string[] {
  return readdirSync(GALLERY)
    .filter((name) => name.endsWith('.ts'))
    .sort();
}

interface Hunt {
  /** Iterations to the first failure, or as many as were tried. */
  readonly iterations: readonly number[];
  readonly found: number;
}

async function hunt(file: string, chaos: boolean, signal: AbortSignal): Promise<Hunt> {
  const iterations: number[] = [];
  let found = 0;
  for (const seed of SEEDS) {
    const options = { seed, chaos, durationMs: LIMIT_MS, watchdogMs: WATCHDOG_MS, reconstruct: false, signal };
    const result = await stress(path.join(GALLERY, file), options);
    signal.throwIfAborted();
    const [failure] = result.failures;
    if (failure !== undefined) found++;
    iterations.push(failure?.iteration ?? result.iterations);
  }
  return { iterations, found };
}

function compared(file: string, { iterations, found }: Hunt, plain: Hunt): BenchResult {
  const baseline = median(plain.iterations);
  const of = SEEDS.length;
  return {
    name: path.basename(file, '.ts'),
    unit: 'iterations to failure',
    median: median(iterations),
    min: Math.min(...iterations),
    max: Math.max(...iterations),
    baseline: { name: 'without chaos', median: baseline },
    ratio: median(iterations) / baseline,
    note: `found ${found} of ${of}, without ${plain.found} of ${of}`,
  };
}

/** A count beside another, as a row. */
function counted(name: string, unit: string, count: number, of: { name: string; median: number }): BenchResult {
  return { name, unit, median: count, min: count, max: count, baseline: of, ratio: count / of.median };
}

/** Within the limit, by most of the seeds. */
function isFound({ found }: Hunt): boolean {
  return found > SEEDS.length / 2;
}

export const chaos: BenchGroup = {
  name: 'chaos',
  description: 'iterations to the first failure of each race of the gallery, with chaos and without',
  async measure(signal) {
    const rows: BenchResult[] = [];
    const found = { chaos: 0, plain: 0 };
    for (const file of races()) {
      const plain = await hunt(file, false, signal);
      const disturbed = await hunt(file, true, signal);
      if (isFound(plain)) found.plain++;
      if (isFound(disturbed)) found.chaos++;
      rows.push(compared(file, disturbed, plain));
    }
    const unit = `found in ${LIMIT_MS / 1000} s by most of ${SEEDS.length} seeds`;
    const total = counted(`chaos, of ${rows.length} races`, unit, found.chaos, {
      name: 'without chaos',
      median: found.plain,
    });
    return [...rows, total];
  },
};

/** Whether the token leads to the same kind of failure under the engine. */
async function replays(
  file: string,
  { kind, token }: StressFailureReport,
  engine: 'inline' | 'lockstep',
): Promise<boolean> {
  if (token === null) return false;
  const { followed, failure } = await replay(file, token, { engine });
  return followed && failure?.kind === kind;
}

interface Reconstructed {
  readonly row: BenchResult;
  readonly found: boolean;
  readonly replayable: boolean;
}

async function reconstructed(race: string, signal: AbortSignal): Promise<Reconstructed> {
  const file = path.join(GALLERY, race);
  const name = path.basename(race, '.ts');
  const since = performance.now();
  const { failures, elapsedMs, iterations } = await stress(file, {
    seed: 1,
    chaos: true,
    durationMs: PATIENCE_MS,
    watchdogMs: WATCHDOG_MS,
    signal,
  });
  const ms = performance.now() - since - elapsedMs;
  signal.throwIfAborted();
  const [failure] = failures;
  const inline = failure !== undefined && (await replays(file, failure, 'inline'));
  const lockstep = inline && (await replays(file, failure, 'lockstep'));
  const note =
    failure === undefined ? `not found in ${iterations} iterations` : told(failure.reconstruction, inline, lockstep);
  const baseline = { name: 'iterations to failure', median: failure?.iteration ?? Number.NaN };
  const row = { name, unit: 'ms to reconstruct', median: ms, min: ms, max: ms, baseline, ratio: Number.NaN, note };
  return { row, found: failure !== undefined, replayable: lockstep };
}

function told(how: string, inline: boolean, lockstep: boolean): string {
  if (!inline) return `NOT reconstructed: ${how}`;
  return lockstep ? how : `${how}; NOT replayed in lockstep`;
}

export const reconstruct: BenchGroup = {
  name: 'reconstruct',
  description: 'failures of the gallery on threads that become schedules for the deterministic engines',
  async measure(signal) {
    const all: Reconstructed[] = [];
    for (const race of races()) all.push(await reconstructed(race, signal));
    const count = (what: 'found' | 'replayable') => all.filter((each) => each[what]).length;
    const beside = { name: 'found by stress', median: count('found') };
    const unit = 'failures replayed on inline and lockstep';
    const total = counted(`reconstruct, of ${all.length} races`, unit, count('replayable'), beside);
    return [...all.map(({ row }) => row), total];
  },
};
