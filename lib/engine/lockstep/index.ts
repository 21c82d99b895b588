/** The lockstep engine: executes schedules on real worker threads. */
export { type LockstepOptions, runLockstep } from './run-lockstep';
export {
  type ExecutionOptions,
  type LockstepResult,
  type LockstepSchedule,
  LockstepSession,
  type LockstepSubject,
  type SessionOptions,
} from './session';
export { type LockstepStep, stepsOfState } from './steps';
export { lockstepSwitchNs } from './switch-cost';
