/** Executes random schedules of a scenario in both deterministic engines and compares all there is to compare. */
import { expect } from 'chai';
import type { MemoryModel } from '../../../lib/engine/inline/event-stack';
import type { EngineFailure } from '../../../lib/engine/inline/failure';
import { InlineMachine } from '../../../lib/engine/inline/inline-machine';
import { describeOp, ENGINE_BYTES } from '../../../lib/engine/inline/ops';
import {
  type LockstepResult,
  LockstepSession,
  type LockstepStep,
  type LockstepSubject,
  stepsOfState,
} from '../../../lib/engine/lockstep';
import { planMachine } from '../../../lib/engine/machine-plan';
import { Random } from '../../../lib/engine/rng';
import { recordSchedule } from '../../../lib/explore/script';
import { Walk } from './walk';

export interface PairCase {
  readonly title: string;
  readonly subject: LockstepSubject;
  readonly vcpus?: number;
  readonly args?: unknown;
  readonly memoryModel: MemoryModel;
  readonly seed: number;
  /** Schedules to try. */
  readonly schedules: number;
  readonly maxSteps?: number;
}

/** What the inline engine made of a schedule. */
export interface InlineRun {
  readonly schedule: { readonly actors: number[]; readonly choices: number[] };
  readonly failure: EngineFailure | null;
  readonly steps: readonly LockstepStep[];
  /** Per step: the actors that could have made it, as a mask. */
  readonly enabled: readonly number[];
  readonly results: readonly unknown[];
  /** By region. */
  readonly memory: readonly Uint8Array[];
  readonly clockNs: number;
}

/** How often the pairs of a case ended how. */
export type Tally = Map<string, number>;

const HARDWARE_STEPS = 8;

export function inlineRuns(given: PairCase): InlineRun[] {
  const { subject, vcpus, args, memoryModel, seed, schedules, maxSteps = 500 } = given;
  const plan = planMachine(subject.subject, { vcpus, args });
  const machine = new InlineMachine(plan, { memoryModel, maxSteps, seed, hardwareSteps: HARDWARE_STEPS });
  const { engine } = machine;
  const { state } = engine;
  const runs: InlineRun[] = [];
  const walk = new Walk(seed);
  engine.explore(walk, {
    executionDone(failure) {
      runs.push({
        schedule: recordSchedule(state),
        failure,
        steps: stepsOfState(state),
        enabled: walk.enabled,
        results: machine.programs.map((_, actor) => ((state.done >>> actor) & 1 ? state.endValue(actor) : undefined)),
        memory: machine.regions.map(({ base, bytes }) =>
          state.u8.slice(ENGINE_BYTES + base, ENGINE_BYTES + base + bytes),
        ),
        clockNs: state.clockNs(),
      });
      return runs.length === schedules;
    },
  });
  return runs;
}

export function openSession({ subject, vcpus, args, memoryModel, seed, maxSteps = 500 }: PairCase): LockstepSession {
  return new LockstepSession(subject, { vcpus, args, memoryModel, seed, maxSteps, hardwareSteps: HARDWARE_STEPS });
}

/** Compares every schedule of the case, and one that goes astray for every third; returns how they ended. */
export async function comparePairs(given: PairCase, tally: Tally = new Map()): Promise<Tally> {
  const runs = inlineRuns(given);
  const session = openSession(given);
  try {
    for (const [index, run] of runs.entries()) {
      expectSame(`${given.title}, schedule ${index}`, session, run, await session.run(run.schedule));
      if (index % 3 === 0)
        await expectDivergence(`${given.title}, schedule ${index}`, session, run, given.seed + index);
      const end = run.failure?.kind ?? 'held';
      tally.set(end, (tally.get(end) ?? 0) + 1);
    }
  } finally {
    await session.close();
  }
  return tally;
}

export function expectSame(title: string, session: LockstepSession, inline: InlineRun, lockstep: LockstepResult): void {
  expectSameSteps(title, session, inline.steps, lockstep.steps);
  expect(describeFailure(lockstep.failure), title).to.equal(describeFailure(inline.failure));
  expect(lockstep.divergedAt, title).to.equal(-1);
  for (const [index, bytes] of inline.memory.entries()) {
    const region = lockstep.memory[index];
    if (region === undefined || Buffer.compare(bytes, region.bytes) === 0) continue;
    const at = bytes.findIndex((byte, offset) => byte !== region.bytes[offset]);
    const where = `${JSON.stringify(region.region)} byte 0x${at.toString(16)}`;
    expect(region.bytes[at], `${title}: ${where}`).to.equal(bytes[at]);
  }
  if (inline.failure === null) expect(lockstep.results, title).to.deep.equal(inline.results);
}

/** Names, at some step of the schedule, an actor that cannot make it. */
async function expectDivergence(title: string, session: LockstepSession, run: InlineRun, seed: number): Promise<void> {
  const rng = new Random(seed);
  const at = rng.below(run.steps.length);
  const wrong = unable(session, run, at);
  if (wrong.length > 0) await expectEndAt(title, session, run, at, wrong[rng.below(wrong.length)] as number);
}

/** The actors that cannot make a step of the schedule. */
function unable({ machine }: LockstepSession, run: InlineRun, at: number): number[] {
  const { programs, engine } = machine;
  const actors = programs.length * (engine.state.tso ? 2 : 1) + 1;
  const enabled = run.enabled[at] as number;
  return Array.from({ length: actors }, (_, actor) => actor).filter((actor) => ((enabled >>> actor) & 1) === 0);
}

/** The execution has to end just where the schedule names an actor that cannot go on. */
async function expectEndAt(
  title: string,
  session: LockstepSession,
  run: InlineRun,
  at: number,
  actor: number,
): Promise<void> {
  const { choices } = run.schedule;
  const actors = [...run.schedule.actors.slice(0, at), actor];
  const { divergedAt, failure, steps } = await session.run({ actors, choices });
  const end = { divergedAt, steps: steps.length };
  expect(end, `${title}, step ${at}: ${failure?.message}`).to.deep.equal({ divergedAt: at, steps: at });
}

function describeFailure(failure: EngineFailure | null): string {
  return failure === null ? 'held' : `${failure.kind} of actor ${failure.actor}: ${failure.message}`;
}

function expectSameSteps(
  title: string,
  { machine }: LockstepSession,
  inline: readonly LockstepStep[],
  lockstep: readonly LockstepStep[],
): void {
  const count = Math.max(inline.length, lockstep.length);
  for (let event = 0; event < count; event++) {
    const ours = describe(lockstep[event]);
    const theirs = describe(inline[event]);
    if (ours !== theirs) expect(ours, `${title}, step ${event}`).to.equal(theirs);
  }

  function describe(step: LockstepStep | undefined): string {
    if (step === undefined) return 'nothing';
    const { actor, tag, operand, expected, result } = step;
    return `${machine.actorName(actor)}: ${describeOp(tag)} (${operand}, ${expected}) = ${result}`;
  }
}
