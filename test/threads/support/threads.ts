import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { RunOptions, RunResult } from '../../../lib/index';
import { run } from '../../../lib/index';

const SCENARIOS = path.join(__dirname, '..', 'scenarios');

/** Path of a scenario of these tests. */
export function scenarioFile(name: string): string {
  return path.join(SCENARIOS, `${name}.ts`);
}

/** Runs a scenario of these tests. */
export function runScenario(name: string, options: RunOptions = {}): Promise<RunResult> {
  return run(scenarioFile(name), { watchdogMs: 30_000, ...options });
}

/** Threads of this process, where the system tells. */
export function processThreads(): number | undefined {
  try {
    return readdirSync('/proc/self/task').length;
  } catch {
    return undefined;
  }
}
