/** The free-running engine: each vCPU on a worker thread of its own. */
export type { RunResult } from '../run-result';
export { poolThreads, shutdownPool } from './pool';
export { run } from './run';
export type { ConsoleInput, OutputLine, RunOptions, RunProgress } from './run-options';
