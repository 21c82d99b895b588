/**
 * Executes a schedule on real worker threads, by the lockstep engine, and holds every step against what the inline engine
 * makes of the same schedule: where the two differ the execution ends.
 */
import { InlineMachine, type MachineSetup } from '../engine/inline/inline-machine';
import type { MachineState } from '../engine/inline/machine-state';
import { type LockstepResult, LockstepSession, type LockstepStep, stepsOfState } from '../engine/lockstep';
import type { ScenarioOptions } from '../engine/machine-plan';
import { resolveScenario } from '../engine/resolve-scenario';
import type { Schedule } from './schedule';
import { fineSchedule, ScriptStrategy } from './script';
import type { Subject } from './subject';

type Steps = Pick<Schedule, 'actors' | 'choices'>;

/**
 * @param options - those that `subject` was resolved with
 * @throws ScenarioError if worker threads cannot reach the scenario; the signal's reason if aborted
 */
export async function executeOnThreads(
  subject: Subject,
  schedule: Schedule,
  limits: Pick<MachineSetup, 'maxSteps' | 'hardwareSteps'>,
  { vcpus, abi, events, args }: ScenarioOptions,
  signal?: AbortSignal,
): Promise<LockstepResult> {
  const { source } = subject;
  const { scenario } = subject.plan;
  const setup = { ...limits, memoryModel: schedule.memoryModel, seed: schedule.seed };
  const fine = schedule.hypercalls === 'atomic' ? withoutSections(subject, schedule, setup) : schedule;
  const expected = inlineSteps(subject, fine, setup);
  const resolved = source === undefined ? await resolveScenario(scenario) : { subject: scenario, source };
  const session = new LockstepSession(resolved, { ...setup, vcpus, abi, events, args });
  try {
    return await session.run(fine, { expected, signal });
  } finally {
    await session.close();
  }
}

function inlineSteps(subject: Subject, schedule: Steps, setup: MachineSetup): readonly LockstepStep[] {
  return executed(subject, schedule, setup, stepsOfState);
}

/** Threads know no atomic hypercalls: they execute the same operations step by step. */
function withoutSections(subject: Subject, schedule: Steps, setup: MachineSetup): Steps {
  return executed(subject, schedule, { ...setup, hypercalls: 'atomic' }, fineSchedule);
}

/** What `read` makes of the execution of a schedule. */
function executed<T>(
  subject: Subject,
  { actors, choices }: Steps,
  setup: MachineSetup,
  read: (state: MachineState) => T,
): T {
  const { engine } = new InlineMachine(subject.plan, setup);
  let result: T | undefined;
  engine.explore(new ScriptStrategy(actors, choices, true), {
    executionDone() {
      result = read(engine.state);
      return true;
    },
  });
  return result as T;
}
