/** One run of scenarios/prey.ts in which a thread is ended from outside, and what has to hold afterwards. */
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { planMachine } from '../../lib/engine/machine-plan';
import { resolveScenario } from '../../lib/engine/resolve-scenario';
import type { RunResult } from '../../lib/engine/run-result';
import type { AftermathFigures } from '../../lib/engine/threads/aftermath';
import type { MachineHost } from '../../lib/engine/threads/machine-host';
import { MachineRun } from '../../lib/engine/threads/machine-run';
import { WorkerPool } from '../../lib/engine/threads/pool';
import { checkRunOptions, type RunOptions } from '../../lib/engine/threads/run-options';
import { expectWhole } from '../hypervisor/support/whole';

const SCENARIO = path.join(__dirname, 'scenarios', 'prey.ts');
/** What takes longer than this, on the slowest of machines, does not end. */
const PATIENCE_MS = 60_000;
/** So much each vCPU of the bystander does after the death. */
const ROUNDS_AFTER = 10;

/** Whose thread is ended. */
export type Target = 'vCPU' | 'device' | 'timers';

export interface Kill {
  /** What the prey is at: a key of the scenario's states. */
  readonly state: string;
  readonly target: Target;
  /** From when the prey is at it. */
  readonly delayMs: number;
  readonly options?: RunOptions;
}

/** States in which nobody needs to end the thread. */
const ENDS_ITSELF = 'out of heap in hypercalls';

/** @throws Error if the run does not end, ends for another reason, or leaves the hypervisor's tables broken */
export async function killOnce({ state, target, delayMs, options }: Kill): Promise<AftermathFigures> {
  const { subject, source } = await resolveScenario(SCENARIO);
  const checked = checkRunOptions({ args: { state }, onConsole: () => {}, watchdogMs: 0, ...options });
  const pool = WorkerPool.withLimits({ maxOldGenerationSizeMb: checked.memoryLimitMb });
  const run = new MachineRun(planMachine(subject, checked), source, pool, checked);
  // biome-ignore-start lint/complexity/useLiteralKeys: private, and a test's to look at
  const host = run['host'];
  const aftermath = run['aftermath'];
  const kill = (row: number): Promise<number> | undefined =>
    pool['workers'].get(host.machine.control.threadOf(row))?.terminate();
  // biome-ignore-end lint/complexity/useLiteralKeys: see above
  const over = run.execute();
  const patience = new AbortController();
  const tooLong = setTimeout(PATIENCE_MS, 'hangs' as const, { signal: patience.signal }).catch(() => 'hangs' as const);
  const script = (async () => {
    await until(() => isReady(host, state), over);
    if (delayMs > 0) await setTimeout(delayMs);
    const row = rowOf(host, target);
    await until(() => host.machine.control.threadOf(row) !== 0, over);
    if (state !== ENDS_ITSELF) await kill(row);
    await until(() => host.domains[0]?.settled === true, over);
    const rounds = roundsOf(host);
    await until(() => roundsOf(host).every((each, vcpu) => each >= (rounds[vcpu] as number) + ROUNDS_AFTER), over);
    host.views.bystander?.words.stop.store(1);
    return await over;
  })();
  const result = await Promise.race([script, tooLong]);
  patience.abort();
  if (result === 'hangs') throw new Error(`${state}: a run whose ${target} was ended does not end`);
  expectEnd(result, target, state);
  expectWhole(host.machine.hypervisor);
  return aftermath.figures;
}

/** How far each vCPU of the bystander is. */
function roundsOf({ views }: MachineHost): readonly number[] {
  const { rounds0, rounds1 } = views.bystander?.words ?? {};
  return [rounds0, rounds1].map((word) => word?.load() ?? 0);
}

function isReady(host: MachineHost, state: string): boolean {
  if (state !== 'starting' && roundsOf(host).includes(0)) return false;
  if (state === 'starting') return host.machine.control.threadOf(1) !== 0;
  return host.views.prey?.words.ready.load() === 1;
}

function rowOf(host: MachineHost, target: Target): number {
  if (target === 'vCPU') return 1;
  return target === 'timers' ? host.vcpus : host.vcpus + 1;
}

/** Waits for a condition, in vain if the run is over before. */
async function until(holds: () => boolean, over: Promise<unknown>): Promise<void> {
  let ended = false;
  const end = (): void => {
    ended = true;
  };
  over.then(end, end);
  while (!holds() && !ended) await setTimeout(1);
}

function expectEnd({ domains, failure }: RunResult, target: Target, state: string): void {
  const [prey, bystander] = domains;
  const told = `${state}, ${target}: ${JSON.stringify({ prey: prey?.exit.message, bystander: bystander?.exit, failure: failure?.message })}`;
  if (target === 'vCPU') {
    const reasons = state === ENDS_ITSELF ? ['out-of-memory'] : ['exception'];
    if (!reasons.includes(prey?.exit.reason as string)) throw new Error(`the prey ended otherwise: ${told}`);
    if (bystander?.exit.reason !== 'completed') throw new Error(`the bystander did not go on: ${told}`);
  } else if (failure === null) {
    throw new Error(`nobody was told: ${told}`);
  }
}
