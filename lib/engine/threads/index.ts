/** The free-running engine: each vCPU on a worker thread of its own. */
export type { RunResult } from '../run-result';
export { poolThreads, shutdownPool } from './pool';
export { domainOf, hypercallNumber, type LoggedAccess, LogKind, regionOf, type ThreadLog } from './record/access-log';
export type { RecordedThread, Recording, ThreadKind } from './record/recording';
export { run, runRecorded } from './run';
export type { ConsoleInput, OutputLine, RunOptions, RunProgress } from './run-options';
export { DEFAULT_RECORDED_EVENTS, MOST_RECORDED_EVENTS } from './run-options';
