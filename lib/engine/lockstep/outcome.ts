/** What an execution has come to, in the words of the inline engine. */
import {
  brokenInvariant,
  deadlock,
  type EngineFailure,
  failureOfError,
  livelock,
  spinningInVain,
} from '../inline/failure';
import { describeOp, Op } from '../inline/ops';
import type { StepMachine } from '../inline/step-machine';
import type { Moment } from '../invariants';
import type { DirectEngine } from './direct-engine';
import type { ProgramReport } from './lockstep-thread';
import { EVENT, EXPECTED_EVENT, Outcome } from './shared-words';
import { eventsOfWords } from './steps';

export interface Verdict {
  readonly failure: EngineFailure | null;
  /** Number of the step at which the schedule or what was expected was left; -1. */
  readonly divergedAt: number;
}

/**
 * Reads the outcome out of the machine's words; runs the scenario's check if all programs have ended. What the check
 * writes stays in the machine's memory.
 */
export function verdictOf(machine: StepMachine<DirectEngine>, reports: readonly ProgramReport[]): Verdict {
  const { words } = machine.engine.state;
  const { outcome, outcomeActor: actor } = words;
  switch (outcome) {
    case Outcome.DONE:
      return held(brokenAtEnd(machine) ?? check(machine, reports));
    case Outcome.FAILED: {
      const failure = reports[actor]?.failure;
      if (failure === undefined) throw new Error(`lockstep engine: program ${actor} failed without a word`);
      return held({ ...failure, actor });
    }
    case Outcome.DEADLOCK:
      return held(explained(machine, describeDeadlock(machine), 'quiescence'));
    case Outcome.LIVELOCK:
      return held(explained(machine, livelock(words.maxSteps), 'cut-off'));
    case Outcome.SPINNING:
      return held(
        explained(
          machine,
          spinningInVain(machine.programs, (program) => words.pendingKind(program)),
          'cut-off',
        ),
      );
    case Outcome.DIVERGED: {
      const message = `step ${words.depth + 1}: the schedule names ${whyNot(machine, actor)}`;
      return { failure: { kind: 'nondeterminism', message, actor }, divergedAt: words.depth };
    }
    case Outcome.DIFFERENT:
      return { failure: describeDifference(machine, actor), divergedAt: words.depth - 1 };
    default:
      throw new Error(`lockstep engine: outcome ${outcome}`);
  }
}

function held(failure: EngineFailure | null): Verdict {
  return { failure, divergedAt: -1 };
}

function broken(machine: StepMachine<DirectEngine>, when: Moment): string | undefined {
  const { words, tso } = machine.engine.state;
  return machine.brokenInvariant(when, () => eventsOfWords(words, tso));
}

function brokenAtEnd(machine: StepMachine<DirectEngine>): EngineFailure | undefined {
  const sentence = broken(machine, 'end');
  return sentence === undefined ? undefined : brokenInvariant(sentence);
}

/** The failure, with what the invariants have to say of it. */
function explained(machine: StepMachine<DirectEngine>, failure: EngineFailure, when: Moment): EngineFailure {
  const sentence = broken(machine, when);
  return sentence === undefined ? failure : { ...failure, message: `${failure.message}; ${sentence}` };
}

function check(machine: StepMachine<DirectEngine>, reports: readonly ProgramReport[]): EngineFailure | null {
  try {
    machine.check(reports.map(({ value }) => value));
    return null;
  } catch (thrown) {
    return failureOfError(thrown, 'assertion', -1);
  }
}

function describeDeadlock(machine: StepMachine<DirectEngine>): EngineFailure {
  const { words } = machine.engine.state;
  const waiting = [...machine.programs.keys()].filter(
    (program) => !machine.programs[program]?.daemon && !hasEnded(words.pendingKind(program)),
  );
  const waits = waiting.map(
    (program) => `${machine.actorName(program)} ${machine.describeWait(program, words.pendingKind(program))}`,
  );
  const parked = machine.programs.filter((_, program) => words.pendingKind(program) === Op.PARK);
  return deadlock(
    waits,
    waiting[0] ?? -1,
    parked.map(({ name }) => name),
  );
}

function hasEnded(kind: number): boolean {
  return kind === Op.END || kind === Op.CRASH;
}

/** An actor that cannot go on, and why. */
function whyNot(machine: StepMachine<DirectEngine>, actor: number): string {
  const { words, tso } = machine.engine.state;
  const { programs } = words;
  const timeActor = programs * (tso ? 2 : 1);
  if (actor > timeActor) return `actor ${actor}, and there is none`;
  const name = machine.actorName(actor);
  if (actor === timeActor) return `${name}, which does not pass while others can go on`;
  if (actor >= programs) return `${name}, which is empty`;
  const kind = words.pendingKind(actor);
  return hasEnded(kind) ? `${name}, which has ended` : `${name}, which waits in ${describeOp(words.pendingTag(actor))}`;
}

function describeDifference(machine: StepMachine<DirectEngine>, actor: number): EngineFailure {
  const { words } = machine.engine.state;
  const event = words.depth - 1;
  const made = describeEvent(machine, words.trace, event * EVENT);
  const was = describeEvent(machine, words.expected, event * EXPECTED_EVENT);
  const message = `step ${event + 1}: ${made} where the earlier execution of the same schedule has ${was}`;
  return { kind: 'nondeterminism', message, actor };
}

/** An event whose first slots are actor, tag, operand, expected value and result. */
function describeEvent(machine: StepMachine<DirectEngine>, events: Float64Array, at: number): string {
  const [actor = 0, tag = 0, operand, , result] = events.subarray(at, at + EXPECTED_EVENT);
  return `${machine.actorName(actor)} in ${describeOp(tag)} operand ${operand} with result ${result}`;
}
