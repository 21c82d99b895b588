/** An exhaustive exploration, and what it came across. */
import { expect } from 'chai';
import type { HypercallSteps, MemoryModel } from '../../../lib/engine/inline/event-stack';
import type { Strategy } from '../../../lib/engine/inline/strategy';
import { type Bare, exploreBare } from './bare';
import { finalStateOf, traceOf } from './traces';

/** Each trace with how often it was executed, and the final states seen. The space has to be exhausted. */
export function survey(
  programs: readonly Bare[],
  strategy: Strategy,
  memoryModel: MemoryModel,
  hypercalls: HypercallSteps = 'fine',
) {
  const traces = new Map<string, number>();
  const states = new Set<string>();
  const { complete, blocked, executions } = exploreBare(programs, strategy, {
    memoryModel,
    hypercalls,
    keepGoing: true,
    maxSteps: 80,
    onEnd(engine) {
      const trace = traceOf(engine);
      traces.set(trace, (traces.get(trace) ?? 0) + 1);
      states.add(finalStateOf(engine, programs.length));
    },
  });
  expect(complete).to.equal(true);
  return { traces, states, blocked, executions };
}
