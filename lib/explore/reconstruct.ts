/**
 * Turns a failure on free-running threads into a schedule that fails the same way under the inline engine.
 *
 * First by the logs: with each hypercall as one step, which is nearly always enough and quick, then with every access inside
 * the hypervisor a step, then under x86-TSO. If no schedule has the results in the logs (times are never the same
 * again), by a search that does not look at them. What is found is made as short as it gets.
 */

import type { HypercallSteps, MemoryModel } from '../engine/inline/event-stack';
import type { EngineFailure, ExecutionSink } from '../engine/inline/inline-engine';
import { InlineMachine, type MachineTracer } from '../engine/inline/inline-machine';
import { ENGINE_BYTES } from '../engine/inline/ops';
import type { Strategy } from '../engine/inline/strategy';
import type { StressFailure } from '../engine/threads/stress';
import { DporStrategy } from './dpor';
import { OutOfTime, withinTime } from './guest-time';
import { GuidedStrategy } from './guided';
import { type Extent, LogFollower } from './log-follower';
import { encodeToken } from './schedule';
import { recordSchedule } from './script';
import { shrinkInTime } from './shrink';
import type { Subject } from './subject';

/** A schedule that fails as the threads did, or why there is none. */
export type Reconstruction =
  | {
      readonly token: string;
      /** By the results in the logs, or in spite of them. */
      readonly by: 'log' | 'search';
      readonly memoryModel: MemoryModel;
      readonly preemptions: number;
    }
  | { readonly token: null; readonly why: string };

interface Attempt {
  readonly by: 'log' | 'search';
  readonly memoryModel: MemoryModel;
  readonly hypercalls: HypercallSteps;
  readonly milliseconds: number;
}

const ATTEMPTS: readonly Attempt[] = [
  { by: 'log', memoryModel: 'sc', hypercalls: 'atomic', milliseconds: 500 },
  { by: 'log', memoryModel: 'sc', hypercalls: 'fine', milliseconds: 1000 },
  { by: 'log', memoryModel: 'tso', hypercalls: 'atomic', milliseconds: 500 },
  { by: 'log', memoryModel: 'tso', hypercalls: 'fine', milliseconds: 1000 },
  { by: 'search', memoryModel: 'sc', hypercalls: 'fine', milliseconds: 1500 },
  { by: 'search', memoryModel: 'tso', hypercalls: 'fine', milliseconds: 1500 },
];
/** More vCPUs than this are more actors than the engine has, store buffers included. */
export const MOST_VCPUS = 14;
const MAX_STEPS = 20_000;
const HARDWARE_STEPS = 16;
const SLICE_MS = 40;
const SHRINK = { executions: 20_000, milliseconds: 1000 };
/** A guest that has not made its next access for so long loops. */
const WATCHDOG_MS = 1000;

type Found = {
  readonly actors: readonly number[];
  readonly choices: readonly number[];
  readonly failure: EngineFailure;
};

/** @param subject - the scenario, with the options it was stressed with */
export async function reconstruct(subject: Subject, failure: StressFailure): Promise<Reconstruction> {
  const { logs } = failure;
  if (failure.threadsOnly) return { token: null, why: 'it would take the thread with it that tries it' };
  if (logs.length > MOST_VCPUS) return { token: null, why: `${logs.length} vCPUs are more than are explored` };
  const short = logs.find(({ missing }) => missing > 0);
  for (const attempt of ATTEMPTS) {
    if (attempt.by === 'log' && short !== undefined) continue;
    try {
      const found = await new Search(subject, failure, attempt).run();
      if (found !== undefined) return describe(subject, failure, attempt, found);
    } catch (error) {
      if (!(error instanceof OutOfTime)) throw error;
      return { token: null, why: 'a guest loops without an access on a schedule that was tried' };
    }
  }
  const why =
    short === undefined
      ? 'no schedule with the results in the log was found to fail this way'
      : `vCPU ${short.row} made ${short.missing} accesses more than its log keeps`;
  return { token: null, why };
}

/** Whether two failures are the same but for numbers that differ from run to run, such as times. */
export function failsTheSameWay(
  wanted: Pick<StressFailure, 'kind' | 'message'>,
  found: Pick<EngineFailure, 'kind' | 'message'>,
): boolean {
  if (wanted.kind !== found.kind) return false;
  return wanted.kind === 'deadlock' || wanted.kind === 'livelock' || plain(wanted.message) === plain(found.message);
}

function plain(message: string): string {
  return message.replace(/\d+/g, 'n');
}

class Search implements ExecutionSink {
  private readonly machine: InlineMachine;
  private readonly strategy: Strategy;
  private found: Found | undefined;
  private readonly until: number;

  constructor(
    subject: Subject,
    private readonly failure: StressFailure,
    { by, memoryModel, hypercalls, milliseconds }: Attempt,
  ) {
    const setup = { memoryModel, hypercalls, seed: failure.seed, maxSteps: MAX_STEPS, hardwareSteps: HARDWARE_STEPS };
    if (by === 'search') {
      this.machine = new InlineMachine(subject.plan, setup);
      this.strategy = new DporStrategy();
    } else {
      const tracer: MachineTracer = {
        mark: (actor, position, kind, text) => guided.follower(actor)?.mark(position, kind, text),
      };
      const machine = new InlineMachine(subject.plan, { ...setup, tracer });
      const memories = memoriesOf(machine);
      const guided = new GuidedStrategy((state) =>
        Array.from({ length: machine.vcpuCount }, (_, actor) => {
          return new LogFollower(state, actor, failure.logs[actor]?.accesses ?? [], memories);
        }),
      );
      this.machine = machine;
      this.strategy = guided;
    }
    this.until = performance.now() + milliseconds;
  }

  async run(): Promise<Found | undefined> {
    for (let exhausted = false; !exhausted && this.found === undefined && performance.now() < this.until; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const slice = () => this.machine.engine.explore(this.strategy, this, performance.now() + SLICE_MS);
      exhausted = withinTime(slice, WATCHDOG_MS);
    }
    return this.found;
  }

  executionDone(failure: EngineFailure | null, blocked: boolean): boolean {
    if (blocked || failure === null || !failsTheSameWay(this.failure, failure)) return false;
    this.found = { failure, ...recordSchedule(this.machine.engine.state) };
    return true;
  }
}

/** Where the domains' memories lie in the engine's address space. */
function memoriesOf({ regions }: InlineMachine): Extent[] {
  const guests = regions.filter(({ region }) => region.kind === 'guest');
  return guests.map(({ base, bytes }) => ({ base: ENGINE_BYTES + base, end: ENGINE_BYTES + base + bytes }));
}

function describe(subject: Subject, failure: StressFailure, attempt: Attempt, found: Found): Reconstruction {
  const { memoryModel, hypercalls } = attempt;
  const { seed } = failure;
  const setup = { memoryModel, hypercalls, seed, maxSteps: MAX_STEPS, hardwareSteps: HARDWARE_STEPS };
  const makeEngine = () => new InlineMachine(subject.plan, setup).engine;
  const least = shrinkInTime(makeEngine, found, SHRINK, SHRINK.milliseconds + WATCHDOG_MS);
  const { actors, choices } = failsTheSameWay(failure, least.failure) ? least : found;
  const token = encodeToken({ memoryModel, hypercalls, seed, actors, choices }, subject.fingerprint);
  return { token, by: attempt.by, memoryModel, preemptions: least.preemptions };
}
