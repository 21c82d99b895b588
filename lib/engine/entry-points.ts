/** What `upcall` and its entry points are inside a scenario. */
import { join } from 'node:path';

/** By the name a scenario imports; loaded when it does. */
export type EntryPoints = Readonly<Record<string, () => unknown>>;

/**
 * By a path made at run time: the public API is above this layer, and none of it belongs into the bundle that worker
 * threads run.
 */
function load(module: string): unknown {
  return require(join(__dirname, '..', module));
}

/** The package's public API, for scenarios evaluated on the main thread. */
export const publicEntryPoints: EntryPoints = {
  upcall: () => load('index'),
  'upcall/abi': () => load('abi'),
  'upcall/guest': () => load('guest'),
};
