/**
 * Finds out which file defines a scenario, so that worker threads can load the same one: a function cannot be
 * sent to another thread.
 */
export interface ScenarioOrigin {
  /** Absolute path; undefined when the caller is no file, such as a REPL. */
  readonly file: string | undefined;
  /** How many scenarios the file had defined before this one. */
  readonly index: number;
}

/** While a scenario file is evaluated by the package itself: its name, and what it has defined so far. */
interface Loading {
  readonly file: string;
  defined: number;
}

let loading: Loading | undefined;
const definedIn = new Map<string, number>();

/** Runs `evaluate`; scenarios defined meanwhile belong to `file` and count from 0. */
export function definingIn<T>(file: string, evaluate: () => T): T {
  const outer = loading;
  loading = { file, defined: 0 };
  try {
    return evaluate();
  } finally {
    loading = outer;
  }
}

/** Origin of the scenario that is being defined: the file being loaded, else that of the first foreign caller. */
export function originOfCaller(): ScenarioOrigin {
  if (loading !== undefined) return Object.freeze({ file: loading.file, index: loading.defined++ });
  const file = callingFile();
  if (file === undefined) return Object.freeze({ file, index: 0 });
  const index = definedIn.get(file) ?? 0;
  definedIn.set(file, index + 1);
  return Object.freeze({ file, index });
}

function callingFile(): string | undefined {
  const previous = Error.prepareStackTrace;
  Error.prepareStackTrace = (_error, sites) => sites;
  const sites = new Error().stack as unknown as NodeJS.CallSite[];
  Error.prepareStackTrace = previous;
  const names = sites.map((site) => site.getFileName() ?? '');
  const own = names[0];
  const scenarioModule = own?.replace('scenario-origin', 'scenario');
  const caller = names.find((name) => name !== '' && name !== own && name !== scenarioModule);
  if (caller === undefined || caller.startsWith('node:')) return undefined;
  if (!caller.startsWith('file:')) return caller;
  // Loaded where it is needed: a vCPU's thread never needs it.
  return (require('node:url') as typeof import('node:url')).fileURLToPath(caller);
}
