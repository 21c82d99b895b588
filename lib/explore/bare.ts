/**
 * Exploration of bare programs over one region of memory, with no hypervisor underneath: protocols written out in words. The
 * engine and the strategies are tested and measured on them.
 */
import { type EngineFailure, type EngineOptions, InlineEngine } from '../engine/inline/inline-engine';
import type { InlineMemory } from '../engine/inline/inline-memory';
import type { Strategy } from '../engine/inline/strategy';

export type Bare = (memory: InlineMemory, engine: InlineEngine) => unknown;

export interface BareResult {
  executions: number;
  blocked: number;
  complete: boolean;
  failure: EngineFailure | null;
  engine: InlineEngine;
}

export interface BareOptions extends Omit<EngineOptions, 'check'> {
  words?: number;
  maxExecutions?: number;
  check?: (memory: InlineMemory, values: readonly unknown[]) => void;
  /** Called at the end of each execution that was not cut off, the state still as it is then. */
  onEnd?: (engine: InlineEngine, memory: InlineMemory) => void;
  keepGoing?: boolean;
}

/** The address of a word: programs name words by small numbers: `at(0)`, `at(1)`… */
export function at(word: number): number {
  return word * 4;
}

export function exploreBare(programs: readonly Bare[], strategy: Strategy, options: BareOptions = {}): BareResult {
  const {
    words = 16,
    maxExecutions = Number.POSITIVE_INFINITY,
    check,
    onEnd,
    keepGoing = false,
    ...engineOptions
  } = options;
  const bytes = words * 4;
  let memory: InlineMemory;
  const engine: InlineEngine = new InlineEngine(
    bytes,
    programs.map((program, index) => ({ name: `p${index}`, run: () => program(memory, engine) })),
    { ...engineOptions, check: check && ((values) => check(memory, values)) },
  );
  memory = engine.region(0, bytes);
  const result: BareResult = { executions: 0, blocked: 0, complete: false, failure: null, engine };
  result.complete = engine.explore(strategy, {
    executionDone(failure, blocked) {
      if (blocked) {
        result.blocked++;
        return false;
      }
      result.executions++;
      onEnd?.(engine, memory);
      result.failure ??= failure;
      return (failure !== null && !keepGoing) || result.executions >= maxExecutions;
    },
  });
  return result;
}
