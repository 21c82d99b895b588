/** One search of a scenario's interleavings, without the shrinking and reporting that `explore` adds. */
import path from 'node:path';
import type { MemoryModel } from '../../engine/inline/event-stack';
import type { EngineFailure } from '../../engine/inline/failure';
import type { ExecutionSink } from '../../engine/inline/inline-engine';
import { InlineMachine } from '../../engine/inline/inline-machine';
import type { Strategy } from '../../engine/inline/strategy';
import { type MachinePlan, planMachine } from '../../engine/machine-plan';
import { bundleScenario } from '../../engine/scenario-bundle';
import { evaluateScenario } from '../../engine/scenario-source';

const MAX_STEPS = 20_000;
const HARDWARE_STEPS = 16;
const SLICE_MS = 40;

export interface Search {
  readonly ms: number;
  readonly executions: number;
  /** Nothing is left to search. */
  readonly complete: boolean;
  readonly failure: EngineFailure | null;
}

/** @param file - path of a scenario; a relative one is a guest of the benchmarks */
export async function planOf(file: string, args?: unknown): Promise<MachinePlan> {
  const source = await bundleScenario(path.resolve(__dirname, 'scenarios', file));
  return planMachine(evaluateScenario(source), { args });
}

/**
 * Until the first failure, the end of the space, or so many executions. In slices, as `explore` does it: code that is compiled
 * better meanwhile is entered anew; and in microtasks, where unwinding costs least.
 */
export async function search(
  plan: MachinePlan,
  strategy: Strategy,
  memoryModel: MemoryModel,
  maxExecutions = Number.POSITIVE_INFINITY,
): Promise<Search> {
  const setup = { memoryModel, maxSteps: MAX_STEPS, seed: 1, hardwareSteps: HARDWARE_STEPS };
  const { engine } = new InlineMachine(plan, setup);
  let executions = 0;
  let found: EngineFailure | null = null;
  let exhausted = false;
  const sink: ExecutionSink = {
    executionDone(failure, blocked) {
      if (blocked) return false;
      executions++;
      found = failure;
      return failure !== null || executions >= maxExecutions;
    },
  };
  const start = performance.now();
  while (!exhausted && found === null && executions < maxExecutions) {
    await new Promise(setImmediate);
    await null;
    exhausted = engine.explore(strategy, sink, performance.now() + SLICE_MS);
  }
  return { ms: performance.now() - start, executions, complete: exhausted && found === null, failure: found };
}
