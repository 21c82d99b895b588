/**
 * What `upcall` and its entry points are inside a worker thread: what guests and the definition of a scenario need,
 * without the engines, bundler and pool of the public API, which would cost each thread time and memory.
 */
import * as abi from '../../abi';
import * as guest from '../../guest';
import type { EntryPoints } from '../entry-points';
import { GuestAssertionError, GuestCrashError, ScenarioError, UpcallError } from '../errors';
import { defineScenario } from '../scenario';

const { HypercallError } = abi;
const upcall = { defineScenario, HypercallError, GuestAssertionError, GuestCrashError, ScenarioError, UpcallError };

export const threadEntryPoints: EntryPoints = {
  upcall: () => upcall,
  'upcall/abi': () => abi,
  'upcall/guest': () => guest,
};
