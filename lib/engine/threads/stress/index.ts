/** Stress on free-running threads. */
export {
  checkStressOptions,
  type StressFailure,
  type StressOptions,
  type StressProgress,
  type StressRunResult,
} from './options';
export type { StressFailureKind } from './session';
export { planStress, stressPlan } from './stress';
