/** The public API: named re-exports, nothing else. */
export { HypercallError } from './abi/errno';
export { GuestAssertionError, GuestCrashError, GuestExitError, ScenarioError, UpcallError } from './engine/errors';
export { ControlError } from './engine/monitor/socket-path';
export type {
  DomainExit,
  DomainResult,
  ErrorData,
  ExitReason,
  RunFailure,
  RunResult,
  VcpuResult,
} from './engine/run-result';
export {
  type AbiName,
  type CheckContext,
  type Device,
  type DomainSpec,
  defineScenario,
  type GuestFunction,
  type Scenario,
  type ScenarioSpec,
  type SetupContext,
  type ToolstackDomain,
  type WordsSpec,
} from './engine/scenario';
export type { Dump } from './engine/snapshot/dump-file';
export type { DomainState } from './engine/snapshot/summary';
export {
  type ConsoleInput,
  type OutputLine,
  type RunOptions,
  type RunProgress,
  run,
  shutdownPool,
} from './engine/threads';
export type { StressFailureKind, StressProgress } from './engine/threads/stress';
export type { ExploreOptions, ExploreProgress, StrategyName } from './explore/options';
export { ExploreOptionError } from './explore/options';
export { type ReplayOptions, type ReplayResult, replay } from './explore/replay';
export type { ExploreFailure, ExploreReport, Outcome } from './explore/result';
export { TokenError } from './explore/schedule';
export { type StressFailureReport, type StressOptions, type StressResult, stress } from './explore/stress';
export type { Trace, TraceMark, TraceStep } from './explore/trace';
export type { GuestDomain, Hypercalls, Vcpu, Word, Words } from './guest/vcpu';
export { ExplorationFailed, type ExploreResult, explore } from './report/explore-result';
