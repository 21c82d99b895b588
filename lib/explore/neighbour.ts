/**
 * For a schedule that fails, the schedule most like it that does not: it takes the same steps as long as possible, and
 * from there on switches only where it must. The first step in which the two differ is the one that decides.
 */
import { InlineMachine } from '../engine/inline/inline-machine';
import type { MachineState } from '../engine/inline/machine-state';
import type { Strategy } from '../engine/inline/strategy';
import type { Scenario } from '../engine/scenario';
import { OutOfTime, withinTime } from './guest-time';
import type { ReplayOptions } from './replay';
import { decodeToken, encodeToken, type Schedule } from './schedule';
import { recordSchedule } from './script';
import { resolveSubject, type Subject } from './subject';
import { type Trace, traceSchedule } from './trace';

const MOST_EXECUTIONS = 5000;
const MOST_MS = 2000;
/** With an execution that may be under way when that time is over. */
const SEARCH_MS = 3 * MOST_MS;

export interface PassingExecution {
  readonly trace: Trace;
  readonly token: string;
  readonly preemptions: number;
}

/**
 * The passing execution most like a failing one.
 *
 * @param token - of a schedule that fails
 * @param options - as for replay; the engine makes no difference
 * @returns undefined if none was found with the effort that is reasonable
 * @throws ScenarioError, TokenError if scenario, option or token cannot be used
 */
export async function findPassing(
  scenario: string | Scenario,
  token: string,
  options: ReplayOptions = {},
): Promise<PassingExecution | undefined> {
  const subject = await resolveSubject(scenario, options);
  const schedule = decodeToken(token, subject.fingerprint);
  const { maxSteps = 20_000, hardwareSteps = 16 } = options;
  const limits = { maxSteps, hardwareSteps };
  const found = inTime(() => nearestPassing(subject, schedule, limits));
  if (found === undefined) return undefined;
  const passing = { ...schedule, ...found };
  const { trace, preemptions } = traceSchedule(subject, passing, limits);
  // A guest that does something else the second time has no schedule that could be called passing.
  if (trace.failure !== null) return undefined;
  return { trace, preemptions, token: encodeToken(passing, subject.fingerprint) };
}

/** What a search comes to; undefined if a guest loops for ever in it. */
function inTime<T>(search: () => T): T | undefined {
  try {
    return withinTime(search, SEARCH_MS);
  } catch (error) {
    if (error instanceof OutOfTime) return undefined;
    throw error;
  }
}

function nearestPassing(
  subject: Subject,
  schedule: Schedule,
  limits: { readonly maxSteps: number; readonly hardwareSteps: number },
): Pick<Schedule, 'actors' | 'choices'> | undefined {
  const { memoryModel, hypercalls, dataRaces, seed } = schedule;
  const { engine } = new InlineMachine(subject.plan, { ...limits, memoryModel, hypercalls, dataRaces, seed });
  const strategy = new NeighbourStrategy(schedule.actors, schedule.choices);
  let found: Pick<Schedule, 'actors' | 'choices'> | undefined;
  let left = MOST_EXECUTIONS;
  engine.explore(
    strategy,
    {
      executionDone(failure) {
        if (failure === null && strategy.departed) found = recordSchedule(engine.state);
        return found !== undefined || --left <= 0;
      },
    },
    performance.now() + MOST_MS,
  );
  return found;
}

/** First the schedule itself, then everything that departs from it in one step, the last step first. */
class NeighbourStrategy implements Strategy {
  readonly name = 'neighbour';
  readonly eager = true;
  readonly blocked = 0;
  private state!: MachineState;
  /** Where it departs in this execution, and with whom; -1: not at all. */
  private turn = -1;
  private other = -1;
  /** By event of the schedule: actors still to be tried there, and choices made before it. */
  private readonly untried: number[] = [];
  private readonly choicesBefore: number[] = [];
  private choice = 0;

  constructor(
    private readonly actors: readonly number[],
    private readonly choices: readonly number[],
  ) {}

  get departed(): boolean {
    return this.turn >= 0;
  }

  attach(state: MachineState): void {
    this.state = state;
  }

  begin(): void {
    this.choice = this.turn < 0 ? 0 : (this.choicesBefore[this.turn] as number);
  }

  choose(enabled: number): number {
    const { depth } = this.state;
    if (this.turn < 0 && depth < this.actors.length) {
      const actor = this.actors[depth] as number;
      this.untried[depth] = enabled & ~(1 << actor);
      this.choicesBefore[depth] = this.choice;
      return ((enabled >>> actor) & 1) !== 0 ? actor : -1;
    }
    const wanted = depth === this.turn ? this.other : depth > 0 ? (this.state.evActor[depth - 1] as number) : 0;
    return ((enabled >>> wanted) & 1) !== 0 ? wanted : 31 - Math.clz32(enabled & -enabled);
  }

  chooseValue(_actor: number, count: number): number {
    return Math.min(this.choices[this.choice++] ?? 0, count - 1);
  }

  executed(): void {}

  end(): void {}

  next(): number {
    if (this.turn < 0) this.turn = this.untried.length - 1;
    while (this.turn >= 0 && this.untried[this.turn] === 0) this.turn--;
    if (this.turn < 0) return -1;
    const untried = this.untried[this.turn] as number;
    // Going on with the same actor comes first: that is the preemption left out.
    const last = this.turn > 0 ? (this.actors[this.turn - 1] as number) : 0;
    this.other = ((untried >>> last) & 1) !== 0 ? last : 31 - Math.clz32(untried & -untried);
    this.untried[this.turn] = untried & ~(1 << this.other);
    return this.turn;
  }
}
