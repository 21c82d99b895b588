/**
 * Runs code of guests on this thread without being at its mercy: a guest that loops without an access cannot be interrupted from
 * inside, so V8 is told to give it up after a time. The code runs in a microtask, where unwinding a program costs least; but not
 * where the process follows promises (AsyncLocalStorage, async_hooks): Node.js enters a microtask in its books then, and aborts
 * the process when the microtask is given up and never leaves.
 */
import { executionAsyncId } from 'node:async_hooks';
import { type Context, createContext, Script } from 'node:vm';
import { GuestExitError } from '../engine/errors';

/** How long one execution may take, unless told otherwise. */
export const DEFAULT_WATCHDOG_MS = 10_000;

/** The code has not returned in time. It has been given up in the middle of what it did: nothing it works on may be used again. */
export class OutOfTime extends Error {
  override readonly name = 'OutOfTime';
}

/** What to say of an actor whose code has been given up. */
export function endless(actor: string, limitMs: number): string {
  const where = 'in a loop without an access, a hypercall or vcpu.relax()';
  return `${actor} does not come to its next step: ${limitMs / 1000} s ${where} (limit: watchdogMs)`;
}

let context: Context | undefined;
let inMicrotask: Script | undefined;
let atOnce: Script | undefined;

/**
 * Runs `code` and returns what it returns, or throws what it throws.
 * @param limitMs - milliseconds; 0: no limit
 * @throws OutOfTime
 */
export function withinTime<T>(code: () => T, limitMs: number): T {
  context ??= createContext({}, { microtaskMode: 'afterEvaluate' });
  inMicrotask ??= new Script('Promise.resolve().then(() => run()); undefined');
  atOnce ??= new Script('run()');
  const options = limitMs > 0 ? { timeout: limitMs } : {};
  let outcome: (() => T) | undefined;
  const outer = executionAsyncId();
  let followed = false;
  context.run = () => {
    if (!followed && executionAsyncId() !== outer) {
      followed = true;
      return;
    }
    try {
      const value = code();
      outcome = () => value;
    } catch (error) {
      outcome = () => {
        throw error;
      };
    }
  };
  const { exit } = process;
  // In a guest it would end more than the guest.
  process.exit = (status) => {
    throw new GuestExitError(status);
  };
  try {
    inMicrotask.runInContext(context, options);
    if (followed) atOnce.runInContext(context, options);
  } catch (error) {
    const { code: reason } = error as NodeJS.ErrnoException;
    if (reason === 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw new OutOfTime(`not over after ${limitMs} ms`);
    throw error;
  } finally {
    process.exit = exit;
  }
  if (outcome === undefined) throw new Error('the microtask did not run');
  return outcome();
}
