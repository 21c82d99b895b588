/** Executions of one machine under one strategy, counted, until there is nothing left or one fails. Any thread may run it. */
import type { EngineFailure, ExecutionSink, FailureKind, InlineEngine } from '../engine/inline/inline-engine';
import { InlineMachine, type MachineSetup } from '../engine/inline/inline-machine';
import type { Strategy } from '../engine/inline/strategy';
import type { MachinePlan } from '../engine/machine-plan';
import { Coverage } from './coverage';
import { endless, OutOfTime, withinTime } from './guest-time';
import type { CheckedOptions } from './options';
import { recordSchedule } from './script';
import { Tally } from './tally';

/** A failing execution: structured-clonable. */
export interface Found {
  readonly kind: FailureKind;
  readonly message: string;
  /** -1: none in particular. */
  readonly actor: number;
  readonly actors: readonly number[];
  readonly choices: readonly number[];
  /** The execution did not end: it cannot be repeated but in part. */
  readonly endless?: boolean;
}

/** Of the options of an exploration, what a machine is made with. */
export function setupOf(options: CheckedOptions): Omit<MachineSetup, 'tracer' | 'onCover'> {
  const { memoryModel, hypercalls, dataRaces, maxSteps, seed, hardwareSteps } = options;
  return { memoryModel, hypercalls, dataRaces, maxSteps, seed, hardwareSteps };
}

export class Search implements ExecutionSink {
  readonly tally = new Tally();
  found: Found | undefined;
  readonly engine: InlineEngine;
  private readonly machine: InlineMachine;
  private countedSteps = 0;

  /**
   * @param afterExecution - called after each one that did not fail; returns true to stop
   * @param admit - asked whether one that has ended counts; if not the search stops
   */
  constructor(
    plan: MachinePlan,
    private readonly options: CheckedOptions,
    private readonly strategy: Strategy,
    private readonly afterExecution: () => boolean,
    private readonly admit?: () => boolean,
  ) {
    if (options.coverage) this.tally.coverage = new Coverage();
    const onCover = (label: string): void => void this.tally.covered.add(label);
    this.machine = new InlineMachine(plan, { ...setupOf(options), onCover });
    this.engine = this.machine.engine;
  }

  /**
   * Explores for about so long.
   * @returns true when there is nothing left
   */
  slice(milliseconds: number): boolean {
    const { engine, strategy, tally } = this;
    try {
      return withinTime(
        () => engine.explore(strategy, this, performance.now() + milliseconds),
        this.options.watchdogMs,
      );
    } catch (error) {
      if (!(error instanceof OutOfTime)) throw error;
      this.found = this.stuck();
      return false;
    } finally {
      tally.steps += engine.steps - this.countedSteps;
      this.countedSteps = engine.steps;
    }
  }

  executionDone(failure: EngineFailure | null, blocked: boolean): boolean {
    const { tally, engine } = this;
    if (blocked) {
      tally.blocked++;
      return this.afterExecution();
    }
    if (this.admit?.() === false) return true;
    tally.executions++;
    tally.coverage?.note(engine.state);
    if (failure !== null) {
      const { kind, message, actor } = failure;
      this.found = { kind, message, actor, ...recordSchedule(engine.state) };
      return true;
    }
    this.noteOutcome();
    if (engine.parked) tally.parked = true;
    return this.afterExecution();
  }

  private noteOutcome(): void {
    const { state } = this.engine;
    const results: unknown[] = [];
    for (let actor = 0; actor < this.machine.vcpuCount; actor++) {
      if (this.machine.programs[actor]?.daemon === undefined) results.push(state.endValue(actor));
    }
    this.tally.note(results, () => recordSchedule(state));
  }

  /** The engine was given up in the middle of an execution, most likely in a guest that loops. */
  private stuck(): Found {
    const { engine, machine, options, tally } = this;
    tally.executions++;
    const actor = engine.runningProgram;
    const who = actor < 0 ? "the scenario's check" : machine.actorName(actor);
    return {
      kind: 'livelock',
      message: endless(who, options.watchdogMs),
      actor,
      ...recordSchedule(engine.state),
      endless: true,
    };
  }
}
