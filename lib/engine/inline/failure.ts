/** How an execution under a deterministic engine can fail, and in which words: the same in both engines. */
import type { DataRace } from './data-races';
import { describeOp, Op } from './ops';
import type { Program } from './step-engine';

/** So often time passes while programs only spin before that counts as a livelock: longer than bounded spins last. */
export const VAIN_TICKS = 256;

export type FailureKind =
  | 'deadlock'
  | 'livelock'
  | 'assertion'
  | 'crash'
  | 'invariant'
  | 'data-race'
  | 'nondeterminism';

/** Why an execution failed. */
export interface EngineFailure {
  readonly kind: FailureKind;
  readonly message: string;
  /** The actor concerned, or -1. */
  readonly actor: number;
  readonly error?: unknown;
  /** Of a data race: both accesses. */
  readonly race?: DataRace;
}

/** Thrown by a program to end the execution as a failure of a stated kind. */
export class ExecutionFailure extends Error {
  override readonly name = 'ExecutionFailure';

  constructor(
    readonly kind: FailureKind,
    message: string,
  ) {
    super(message);
  }
}

/** @param kind - of the failure, unless the error says it */
export function failureOfError(error: unknown, kind: FailureKind, actor: number): EngineFailure {
  return {
    kind: error instanceof ExecutionFailure ? error.kind : kind,
    message: error instanceof Error ? error.message : String(error),
    actor,
    error,
  };
}

/**
 * @param waits - who waits for what, in a few words each
 * @param cutOff - hardware that would have gone on, but for the bound on its steps
 */
export function deadlock(waits: readonly string[], actor: number, cutOff: readonly string[]): EngineFailure {
  const bound =
    cutOff.length === 0 ? '' : `; ${cutOff.join(', ')} might have: cut off after its share (limit: hardwareSteps)`;
  return { kind: 'deadlock', message: `nothing is left that could wake anyone: ${waits.join('; ')}${bound}`, actor };
}

export function livelock(maxSteps: number): EngineFailure {
  return { kind: 'livelock', message: `no end after ${maxSteps} steps (limit: maxSteps)`, actor: -1 };
}

/** @param kindOf - kind of a program's pending operation, Op.END or Op.CRASH of one that has ended */
export function spinningInVain(programs: readonly Program[], kindOf: (program: number) => number): EngineFailure {
  const spinning = [...programs.keys()].filter((program) => kindOf(program) === Op.RELAX);
  const names = spinning.map((program) => programs[program]?.name).join(', ');
  const message = `${names} spins for ever: what it looks at will not change any more`;
  return { kind: 'livelock', message, actor: spinning[0] ?? -1 };
}

/** @param programs - names, by actor */
export function dataRace(race: DataRace, programs: readonly Program[]): EngineFailure {
  const { firstActor, firstTag, secondActor, secondTag } = race;
  const first = `${programs[firstActor]?.name} (${describeOp(firstTag)})`;
  const second = `${programs[secondActor]?.name} (${describeOp(secondTag)})`;
  return { kind: 'data-race', message: `nothing orders ${first} and ${second}`, actor: secondActor, race };
}

/** A program kept the engine from suspending it. */
export function swallowedUnwinding(actor: number): EngineFailure {
  const message = 'swallowed the exception by which the engine suspends it: a catch without rethrow';
  return { kind: 'nondeterminism', message, actor };
}

/** @param difference - what a program did, and what it had done before after the same results */
export function nondeterminism(difference: string, actor: number): EngineFailure {
  const hint = 'Guests keep state inside the guest function or in shared memory; time and chance come from the vCPU.';
  return { kind: 'nondeterminism', message: `${difference}. ${hint}`, actor };
}

/** @param sentence - what checkInvariants returned */
export function brokenInvariant(sentence: string): EngineFailure {
  return { kind: 'invariant', message: sentence, actor: -1 };
}

/** What a program that returns a promise has thrown. */
export function promiseReturned(): ExecutionFailure {
  return new ExecutionFailure('crash', 'the guest returned a promise: guests are synchronous');
}
