/** A scenario's machine under the inline engine: its buffers are only read, once, to fill the engine's memory. */
import type { MachinePlan } from '../machine-plan';
import { eventsOfState } from './event-history';
import { InlineEngine } from './inline-engine';
import type { RegionPlace } from './regions';
import { type MachineSetup, StepMachine, startOfDayImage } from './step-machine';

export type { RegionPlace } from './regions';
export type { MachineSetup, MachineTracer, MarkKind } from './step-machine';

export class InlineMachine extends StepMachine<InlineEngine> {
  constructor(plan: MachinePlan, setup: MachineSetup) {
    super(plan, setup, startOfDayImage(plan), (machine) => makeEngine(machine, setup));
    this.engine.setup(() => this.startOfDay());
  }
}

function makeEngine(machine: StepMachine<InlineEngine>, setup: MachineSetup): InlineEngine {
  const { regions } = machine;
  const { tracer } = setup;
  const locate = tracer?.location?.bind(tracer);
  const last = regions.at(-1) as RegionPlace;
  const engine: InlineEngine = new InlineEngine(last.base + last.bytes, machine.programs, {
    memoryModel: setup.memoryModel,
    hypercalls: setup.hypercalls,
    dataRaces: setup.dataRaces,
    maxSteps: setup.maxSteps,
    check: (values) => machine.check(values),
    invariants: (when) => machine.brokenInvariant(when, () => eventsOfState(engine.state)),
    describeWait: (actor) => machine.describeWait(actor, engine.state.kind(actor)),
    onOperation: locate && ((actor, position) => locate(actor, position, new Error().stack ?? '')),
  });
  if (tracer !== undefined) engine.state.cache.enabled = false;
  for (const { base, buffer } of regions) engine.state.u8.set(new Uint8Array(buffer), engine.address(base));
  return engine;
}
