/**
 * What becomes of an execution: whether it has come to an end, and how it failed, if it did. The first failure counts.
 */
import type { Moment } from '../invariants';
import { DataRaces } from './data-races';
import type { HypercallSteps, MemoryModel } from './event-stack';
import {
  brokenInvariant,
  dataRace,
  deadlock,
  type EngineFailure,
  failureOfError,
  livelock,
  spinningInVain,
  VAIN_TICKS,
} from './failure';
import type { MachineState } from './machine-state';
import { Op, opName } from './ops';
import type { Program } from './step-engine';

export interface EngineOptions {
  readonly memoryModel?: MemoryModel;
  /** Whether each hypercall is one event. Default 'fine': it is as many as it has operations. */
  readonly hypercalls?: HypercallSteps;
  /** Two plain accesses that nothing orders are a failure. */
  readonly dataRaces?: boolean;
  /** Events of one execution before it counts as a livelock. */
  readonly maxSteps?: number;
  /** Checks a finished execution, in place of a program: throws = failure. */
  readonly check?: (values: readonly unknown[]) => void;
  /** Looks at an execution that stops, see `invariants.ts`; before `check`. */
  readonly invariants?: (when: Moment) => string | undefined;
  /** What an actor that nobody can let go on waits for, in a few words; for the message of a deadlock. */
  readonly describeWait?: (actor: number) => string;
  /** Called on the program's own stack for each operation that is not answered from the log. For traces. */
  readonly onOperation?: (actor: number, position: number) => void;
}

export class Verdict {
  failure: EngineFailure | null = null;
  /** Daemons were stopped by the bound on steps before they had come to rest, or as far as reduction needs them. */
  cutOff = false;
  private seenDone = 0;
  private readonly races: DataRaces | undefined;
  private readonly maxSteps: number;
  private readonly daemons: number;
  /** Of the daemons, those that nobody sees out. */
  private readonly hardware: number;

  /** @param outside - runs code outside any execution; what it writes is taken back */
  constructor(
    private readonly state: MachineState,
    private readonly programs: readonly Program[],
    private readonly options: EngineOptions,
    private readonly outside: (code: () => void) => void,
  ) {
    this.maxSteps = options.maxSteps ?? 10_000;
    let daemons = 0;
    let hardware = 0;
    programs.forEach(({ daemon }, actor) => {
      if (daemon !== undefined) daemons |= 1 << actor;
      if (daemon === 'hardware') hardware |= 1 << actor;
    });
    this.daemons = daemons;
    this.hardware = hardware;
    state.daemons = daemons;
    this.races = options.dataRaces === true ? new DataRaces(state) : undefined;
  }

  /**
   * The failure of the execution that is over, if it failed; a new one begins. A data race comes before what may have come
   * of it.
   * @param blocked - it was given up: what it shows, others show
   */
  take(blocked: boolean): EngineFailure | null {
    if (!blocked && this.races !== undefined && this.failure?.kind !== 'nondeterminism') {
      const race = this.races.find();
      if (race !== undefined) this.failure = dataRace(race, this.programs);
    }
    const { failure } = this;
    this.failure = null;
    this.seenDone = 0;
    return failure;
  }

  /** Notes the first failure of this execution. */
  fail(failure: EngineFailure): void {
    this.failure ??= failure;
  }

  /**
   * Whether {@link goingOn} would do more than say who: find that the execution is over, or failed.
   * @param able - who could go on
   */
  decides(able: number): boolean {
    const { state } = this;
    if (able === 0 || this.failure !== null || state.done !== this.seenDone) return true;
    return state.depth >= this.maxSteps || (this.allDone() && (able & ~this.hardware) === 0);
  }

  /**
   * Who of those that could go on may: nobody when the execution is over, time when all that is left is spinning.
   * @param seesDaemonsOut - timers and devices too go on after the last program that counts has ended
   */
  goingOn(able: number, seesDaemonsOut: boolean): number {
    const { state } = this;
    if (state.done !== 0 && this.failure === null) this.lookForCrash();
    if (this.failure !== null) return 0;
    const atBound = state.depth >= this.maxSteps;
    const awaited = seesDaemonsOut ? able : able & ~this.hardware;
    if (this.allDone() && (awaited === 0 || (atBound && (able & ~this.daemons) === 0))) {
      if (awaited !== 0) this.cutOff = true;
      this.quiescent();
      return 0;
    }
    if (atBound && able !== 0) {
      this.fail(this.explained(livelock(this.maxSteps), 'cut-off'));
      return 0;
    }
    return able !== 0 ? able : this.letTimePass();
  }

  private letTimePass(): number {
    const enabled = this.state.offerTick();
    if (enabled === 0) this.quiescent();
    else if (this.spinsInVain()) return 0;
    return enabled;
  }

  /** Time has passed again and again, and all that came of it was more spinning. */
  private spinsInVain(): boolean {
    const { state } = this;
    if ((state.pos[state.time] as number) < VAIN_TICKS) return false;
    let ticks = 0;
    for (let event = state.depth - 1; event >= 0 && !state.changes(event); event--) {
      if (state.evActor[event] === state.time) ticks++;
    }
    if (ticks < VAIN_TICKS) return false;
    this.fail(
      this.explained(
        spinningInVain(this.programs, (program) => state.kind(program)),
        'cut-off',
      ),
    );
    return true;
  }

  /** Every program that counts has ended: what daemons might still do, nobody would notice. */
  private allDone(): boolean {
    return (((1 << this.programs.length) - 1) & ~this.daemons & ~this.state.done) === 0;
  }

  /** A program that has thrown fails the execution at once. */
  private lookForCrash(): void {
    const state = this.state;
    if (state.done === this.seenDone) return;
    this.seenDone = state.done;
    for (let rest = state.done; rest !== 0; rest &= rest - 1) {
      const program = 31 - Math.clz32(rest & -rest);
      if (state.kind(program) !== Op.CRASH) continue;
      this.fail(failureOfError(state.endValue(program), 'crash', program));
      return;
    }
  }

  /** The failure, with what the invariants have to say of it. */
  private explained(failure: EngineFailure, when: Moment): EngineFailure {
    const broken = this.options.invariants?.(when);
    return broken === undefined ? failure : { ...failure, message: `${failure.message}; ${broken}` };
  }

  /** Nobody can go on: the end, or a deadlock. */
  private quiescent(): void {
    const state = this.state;
    const all = (1 << this.programs.length) - 1;
    const waiting = all & ~state.done & ~this.daemons;
    if (waiting !== 0) {
      const descriptions: string[] = [];
      for (let rest = waiting; rest !== 0; rest &= rest - 1) {
        const program = 31 - Math.clz32(rest & -rest);
        const wait = this.options.describeWait?.(program) ?? `waits in ${opName(state.kind(program))}`;
        descriptions.push(`${(this.programs[program] as Program).name} ${wait}`);
      }
      const parked = this.programs.filter((_, program) => state.kind(program) === Op.PARK).map(({ name }) => name);
      this.fail(this.explained(deadlock(descriptions, 31 - Math.clz32(waiting & -waiting), parked), 'quiescence'));
      return;
    }
    const broken = this.options.invariants?.('end');
    if (broken !== undefined) {
      this.fail(brokenInvariant(broken));
      return;
    }
    if (this.options.check !== undefined) this.runCheck(this.options.check);
  }

  private runCheck(check: (values: readonly unknown[]) => void): void {
    const { state } = this;
    const values = this.programs.map((_, program) =>
      (state.done >>> program) & 1 ? state.endValue(program) : undefined,
    );
    this.outside(() => {
      try {
        check(values);
      } catch (error) {
        this.fail(failureOfError(error, 'assertion', -1));
      }
    });
  }
}
