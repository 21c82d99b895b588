/**
 * A scenario file as one piece of JavaScript (see scenario-bundle.ts): evaluated on the main thread and in each
 * worker thread from the same text. `upcall` and its entry points always mean the copy that is running, whatever
 * folder the scenario lives in.
 */
import type { SourceMap, SourceMapPayload } from 'node:module';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { compileFunction, constants } from 'node:vm';
import { type EntryPoints, publicEntryPoints } from './entry-points';
import { ScenarioError, toError } from './errors';
import { isScenario, type Scenario } from './scenario';
import { definingIn } from './scenario-origin';

/** Marks positions inside the bundle in stack traces, so that mapping them twice does no harm. */
export const BUNDLE_SCHEME = 'upcall:';

/** Loaded where it is needed: a vCPU's thread hardly ever needs it, and would start half a millisecond later. */
const nodeModule = (): typeof import('node:module') => require('node:module');

/** Structured-clonable: what worker threads are sent. */
export interface ScenarioSource {
  /** Absolute path of the scenario file. */
  readonly file: string;
  /** The bundle. */
  readonly code: string;
  /** Its source map, JSON; empty in worker threads, which leave the mapping to the main thread. */
  readonly map: string;
}

export interface EvaluateOptions {
  /** Of the scenario wanted, when the file defines several: see ScenarioOrigin. */
  readonly index?: number;
  /** Instead of the package's own, e.g. a smaller set for worker threads. */
  readonly entryPoints?: EntryPoints;
}

/**
 * Evaluates a bundle anew and finds its scenario: the default export, or the only exported one.
 * @throws ScenarioError SCENARIO_THROWS, SCENARIO_MISSING or SCENARIO_INVALID
 */
export function evaluateScenario(source: ScenarioSource, options: EvaluateOptions = {}): Scenario {
  const { entryPoints = publicEntryPoints, index } = options;
  const exports = evaluateBundle(source, entryPoints);
  const candidates = exportedScenarios(exports);
  const exported = isScenario(exports) ? exports : exports.default;
  const name = shorten(source.file);
  if (index !== undefined) {
    const wanted = candidates.find((scenario) => scenario.origin.index === index);
    if (wanted !== undefined) return wanted;
    throw new ScenarioError(
      'SCENARIO_MISSING',
      `${name}: worker threads cannot reach this scenario: define it at the top level of the file and export it`,
    );
  }
  const [only] = candidates;
  if (isScenario(exported)) return exported;
  if (only !== undefined && candidates.length === 1) return only;
  if (candidates.length > 1) {
    throw new ScenarioError('SCENARIO_MISSING', `${name}: several scenarios: export one of them as default`);
  }
  const what = 'default' in exports ? 'the default export is not a scenario' : 'no default export';
  throw new ScenarioError('SCENARIO_MISSING', `${name}: ${what}: write export default defineScenario({ … })`);
}

function exportedScenarios(exports: Record<string, unknown>): Scenario[] {
  const found = new Set<Scenario>();
  for (const value of [exports, ...Object.values(exports)]) {
    for (const each of Array.isArray(value) ? value : [value]) if (isScenario(each)) found.add(each);
  }
  return [...found];
}

function evaluateBundle(source: ScenarioSource, entryPoints: EntryPoints): Record<string, unknown> {
  const { file } = source;
  let own: NodeJS.Require | undefined;
  const foreign = (): NodeJS.Require => {
    own ??= nodeModule().createRequire(file);
    return own;
  };
  const requireFrom = (id: string): unknown => (entryPoints[id] ?? (() => foreign()(id)))();
  const module = { exports: {} as Record<string, unknown>, filename: file, id: file, loaded: false, children: [] };
  try {
    const body = compileFunction(source.code, ['exports', 'require', 'module', '__filename', '__dirname'], {
      filename: BUNDLE_SCHEME + file,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    const bound = Object.defineProperties(requireFrom, {
      resolve: { get: () => foreign().resolve },
      cache: { get: () => foreign().cache },
      main: { value: undefined },
    });
    definingIn(file, () => body(module.exports, bound, module, file, dirname(file)));
  } catch (thrown) {
    if (thrown instanceof ScenarioError) throw located(source, thrown);
    const error = toError(thrown);
    const at = positionInBundle(source, error);
    const text = `${shorten(file)}: throws when imported: ${error.name}: ${firstLine(error.message)}`;
    throw new ScenarioError('SCENARIO_THROWS', at === undefined ? text : `${text} (${at})`, { cause: error });
  }
  return module.exports;
}

/** The same error with the position of the mistaken definition in front. */
function located(source: ScenarioSource, error: ScenarioError): ScenarioError {
  const at = positionInBundle(source, error);
  return new ScenarioError(error.code, `${at ?? shorten(source.file)}: ${error.message}`, { cause: error });
}

/** Where in the user's files an error was made: the innermost frame inside the bundle. */
function positionInBundle(source: ScenarioSource, error: Error): string | undefined {
  if (source.map === '') return undefined;
  const frame = error.stack?.split('\n').find((line) => line.includes(BUNDLE_SCHEME));
  const [, path, line, column] = /(?:\(|at )([^()]*?):(\d+):(\d+)\)?$/.exec(mapStack(source, frame ?? '')) ?? [];
  return path === undefined ? undefined : `${shorten(path)}:${line}:${column}`;
}

const sourceMaps = new WeakMap<ScenarioSource, SourceMap>();

/** Replaces positions inside the bundle by those of the user's files, in an error's stack or any other text. */
export function mapStack(source: ScenarioSource, stack: string): string {
  if (source.map === '' || !stack.includes(BUNDLE_SCHEME)) return stack;
  let map = sourceMaps.get(source);
  if (map === undefined) {
    map = new (nodeModule().SourceMap)(JSON.parse(source.map) as SourceMapPayload);
    sourceMaps.set(source, map);
  }
  const at = (line: string, column: string): string | undefined => {
    const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in entry)) return undefined;
    const path = entry.originalSource;
    const original = isAbsolute(path) ? path : resolve(dirname(source.file), path);
    return `${original}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  };
  const position = new RegExp(`${escapeRegExp(BUNDLE_SCHEME + source.file)}:(\\d+):(\\d+)`, 'g');
  return stack.replace(
    position,
    (_, line: string, column: string) => at(line, column) ?? `${source.file}:${line}:${column}`,
  );
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** A path as short as it can be said from here. */
export function shorten(path: string): string {
  const local = relative(process.cwd(), path);
  return local === '' || local.startsWith('..') || isAbsolute(local) ? path : local;
}

export function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
