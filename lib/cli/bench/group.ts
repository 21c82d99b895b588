/** A group of figures that `upcall bench <name>` measures together, and how its guests are run. */
import path from 'node:path';
import type { RunResult } from '../../engine/run-result';
import { type RunOptions, run } from '../../engine/threads';
import type { BenchResult } from './measure';

export interface BenchGroup {
  readonly name: string;
  /** One line for listings. */
  readonly description: string;
  /** @param signal - ends the measurement at the next opportunity by throwing its reason */
  measure(signal: AbortSignal): Promise<BenchResult[]>;
}

/** Runs one of the guests in scenarios/ on threads; throws if the run did not hold. */
export async function runGuest(scenario: string, options: RunOptions): Promise<RunResult> {
  const result = await run(path.join(__dirname, 'scenarios', `${scenario}.js`), options);
  options.signal?.throwIfAborted();
  if (result.failure !== null) throw new Error(`the guest of bench ${scenario} failed: ${result.failure.message}`);
  return result;
}

/** What vCPU 0 of the first domain returned. */
export function firstResult<T>(result: RunResult): T {
  return result.domains[0]?.vcpus[0]?.result as T;
}
