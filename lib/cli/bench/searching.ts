/** One search of a scenario's interleavings, as `explore` does it, without the shrinking and reporting that follow. */
import path from 'node:path';
import type { MemoryModel } from '../../engine/inline/event-stack';
import type { Strategy } from '../../engine/inline/strategy';
import { type MachinePlan, planMachine } from '../../engine/machine-plan';
import { bundleScenario } from '../../engine/scenario-bundle';
import { evaluateScenario } from '../../engine/scenario-source';
import { checkExploreOptions } from '../../explore/options';
import { type Found, Search } from '../../explore/search';

const SLICE_MS = 40;

export interface Searched {
  readonly ms: number;
  readonly executions: number;
  /** Nothing is left to search. */
  readonly complete: boolean;
  readonly failure: Found | null;
}

/** @param file - path of a scenario; a relative one is a guest of the benchmarks */
export async function planOf(file: string, args?: unknown): Promise<MachinePlan> {
  const source = await bundleScenario(path.resolve(__dirname, 'scenarios', file));
  return planMachine(evaluateScenario(source), { args });
}

/** Until the first failure, the end of the space, or so many executions. */
export async function search(
  plan: MachinePlan,
  strategy: Strategy,
  memoryModel: MemoryModel,
  maxExecutions = Number.POSITIVE_INFINITY,
): Promise<Searched> {
  const options = checkExploreOptions({ memoryModel });
  const over = (): boolean => searched.tally.executions >= maxExecutions;
  const searched: Search = new Search(plan, options, strategy, over);
  let exhausted = false;
  const start = performance.now();
  while (!exhausted && searched.found === undefined && !over()) {
    await new Promise(setImmediate);
    exhausted = searched.slice(SLICE_MS);
  }
  const { found, tally } = searched;
  const ms = performance.now() - start;
  return { ms, executions: tally.executions, complete: exhausted && found === undefined, failure: found ?? null };
}
