/**
 * Turns a scenario file, TypeScript or JavaScript, into one piece of JavaScript, on the main thread and once per
 * run. Local imports become part of it, packages do not.
 */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { type BuildFailure, build, type Message } from 'esbuild';
import { ScenarioError, toError } from './errors';
import { firstLine, type ScenarioSource, shorten } from './scenario-source';

const EXTENSIONS = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'];

/** A bundle, and by what to tell that it is out of date. */
interface KeptBundle {
  readonly source: ScenarioSource;
  /** Stamps of the files it was made of, by absolute path. */
  readonly stamps: ReadonlyMap<string, string>;
}

/** Bundles made last, by scenario file: making one takes longer than booting on warm threads. */
const kept = new Map<string, KeptBundle>();
const MOST_KEPT = 32;

/**
 * Bundles a scenario file; the same bundle again as long as none of its files has changed.
 * @throws ScenarioError SCENARIO_NOT_FOUND or SCENARIO_SYNTAX, one line
 */
export async function bundleScenario(path: string): Promise<ScenarioSource> {
  const file = resolve(path);
  checkFile(path, file);
  const known = kept.get(file);
  if (known !== undefined && [...known.stamps].every(([input, stamp]) => stampOf(input) === stamp)) return known.source;
  const bundle = await makeBundle(file);
  kept.delete(file);
  kept.set(file, bundle);
  for (const oldest of kept.keys()) if (kept.size > MOST_KEPT) kept.delete(oldest);
  return bundle.source;
}

async function makeBundle(file: string): Promise<KeptBundle> {
  const result = await build({
    entryPoints: [file],
    outfile: join(dirname(file), `${basename(file)}.bundle.js`),
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    packages: 'external',
    external: ['upcall', 'upcall/*'],
    sourcemap: 'external',
    sourcesContent: false,
    keepNames: true,
    logLevel: 'silent',
    metafile: true,
  }).catch((failure: BuildFailure) => {
    throw new ScenarioError('SCENARIO_SYNTAX', describeBuildFailure(file, failure), { cause: failure });
  });
  const [map, code] = result.outputFiles;
  if (map === undefined || code === undefined) throw new Error('esbuild: no output');
  const inputs = Object.keys(result.metafile.inputs).map((input) => resolve(input));
  return {
    source: { file, code: code.text, map: map.text },
    stamps: new Map(inputs.map((input) => [input, stampOf(input)])),
  };
}

/** Changes when the file does; empty for a file that has gone. */
function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.mtimeMs} ${stat.size}`;
}

function checkFile(path: string, file: string): void {
  if (!existsSync(file)) throw new ScenarioError('SCENARIO_NOT_FOUND', `no such scenario file: ${path}`);
  if (!statSync(file).isFile()) throw new ScenarioError('SCENARIO_NOT_FOUND', `not a file: ${path}`);
  if (!EXTENSIONS.includes(extname(file))) {
    throw new ScenarioError('SCENARIO_NOT_FOUND', `not a scenario file: ${path} (expected ${EXTENSIONS.join(', ')})`);
  }
}

function describeBuildFailure(file: string, failure: BuildFailure): string {
  const [first] = failure.errors ?? [];
  if (first === undefined) return `${shorten(file)}: ${firstLine(toError(failure).message)}`;
  return `${positionOf(file, first)}: ${first.text}`;
}

function positionOf(file: string, { location }: Message): string {
  if (location === null) return shorten(file);
  // esbuild names files relative to the working directory and counts columns from 0.
  return `${shorten(resolve(location.file))}:${location.line}:${location.column + 1}`;
}
