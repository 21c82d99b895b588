/**
 * Executes a schedule on real worker threads, by the lockstep engine, and holds every step against what the inline engine
 * makes of the same schedule: where the two differ the execution ends.
 */
import { InlineMachine, type MachineSetup } from '../engine/inline/inline-machine';
import { type LockstepResult, LockstepSession, type LockstepStep, stepsOfState } from '../engine/lockstep';
import type { ScenarioOptions } from '../engine/machine-plan';
import { resolveScenario } from '../engine/resolve-scenario';
import type { Schedule } from './schedule';
import { ScriptStrategy } from './script';
import type { Subject } from './subject';

/**
 * @param options - those that `subject` was resolved with
 * @throws ScenarioError if worker threads cannot reach the scenario; the signal's reason if aborted
 */
export async function executeOnThreads(
  subject: Subject,
  schedule: Schedule,
  limits: Pick<MachineSetup, 'maxSteps' | 'hardwareSteps'>,
  { vcpus, abi, args }: ScenarioOptions,
  signal?: AbortSignal,
): Promise<LockstepResult> {
  const { source } = subject;
  const { scenario } = subject.plan;
  const setup = { ...limits, memoryModel: schedule.memoryModel, seed: schedule.seed };
  const expected = inlineSteps(subject, schedule, setup);
  const resolved = source === undefined ? await resolveScenario(scenario) : { subject: scenario, source };
  const session = new LockstepSession(resolved, { ...setup, vcpus, abi, args });
  try {
    return await session.run(schedule, { expected, signal });
  } finally {
    await session.close();
  }
}

function inlineSteps(subject: Subject, { actors, choices }: Schedule, setup: MachineSetup): readonly LockstepStep[] {
  const { engine } = new InlineMachine(subject.plan, setup);
  let steps: readonly LockstepStep[] = [];
  engine.explore(new ScriptStrategy(actors, choices, true), {
    executionDone() {
      steps = stepsOfState(engine.state);
      return true;
    },
  });
  return steps;
}
