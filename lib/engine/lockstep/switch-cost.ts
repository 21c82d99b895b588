/** What a hand-over between threads costs: a machine whose vCPUs take turns at every step. */
import { evaluateScenario } from '../scenario-source';
import { threadEntryPoints } from '../threads/thread-entry-points';
import { LockstepSession } from './session';

/** Accesses of each vCPU; each makes two steps, the window before it and itself. */
const ACCESSES = 500;
const STEPS = 2 * ACCESSES;
/** Executions before the ones that count: threads start, code is compiled. */
const WARM_UPS = 3;

const source = {
  file: __filename,
  code: `module.exports = require('upcall').defineScenario({
    name: 'switch-cost',
    words: { turns: 0 },
    guest(vcpu) { for (let i = 0; i < ${ACCESSES}; i++) vcpu.words.turns.add(1); },
  });`,
  map: '',
};

/**
 * Nanoseconds from step to step when each is another vCPU's, the step itself included: the median of several executions.
 *
 * @param vcpus - how many take turns; compare with the number of cores
 * @param executions - that count, at least 1
 */
export async function lockstepSwitchNs(vcpus: number, executions = 7): Promise<number> {
  const subject = evaluateScenario(source, { entryPoints: threadEntryPoints });
  // Room for the few steps that a vCPU makes before its guest runs.
  const maxSteps = vcpus * (STEPS + 16);
  const session = new LockstepSession({ subject, source }, { vcpus, memoryModel: 'sc', seed: 1, maxSteps });
  const schedule = { actors: Array.from({ length: vcpus * STEPS }, (_, event) => event % vcpus), choices: [] };
  const costs: number[] = [];
  try {
    for (let execution = 0; execution < WARM_UPS + executions; execution++) {
      const { failure, steps, elapsedNs } = await session.run(schedule);
      if (failure !== null) throw new Error(`switch-cost: ${failure.message}`);
      if (execution >= WARM_UPS) costs.push(elapsedNs / steps.length);
    }
  } finally {
    await session.close();
  }
  return costs.sort((a, b) => a - b)[costs.length >> 1] as number;
}
