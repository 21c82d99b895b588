/**
 * Who is next, as the schedule says: asked by the holder of the baton after each step of its own. Steps that no program makes
 * (store buffers becoming visible, time passing) it executes on the way.
 *
 * The rules are those of the inline engine under a strict script: the schedule ends where it cannot be followed; when it is
 * used up the actor of the last event goes on, or the first that can.
 */
import { VAIN_TICKS } from '../inline/failure';
import { Op } from '../inline/ops';
import type { Guards } from './guards';
import { EVENT, EXPECTED_EVENT, Outcome, type SharedWords } from './shared-words';
import type { StepExecutor } from './step-executor';

export class ScheduleFollower {
  private readonly timeActor: number;
  /** How many programs have to end. */
  private readonly counting: number;

  /** @param optional - programs that may be left waiting at the end, and of these the ones that nobody sees out: masks */
  constructor(
    private readonly words: SharedWords,
    private readonly guards: Guards,
    private readonly executor: StepExecutor,
    private readonly optional: { readonly daemons: number; readonly hardware: number },
    tso: boolean,
  ) {
    const { programs } = words;
    this.timeActor = tso ? programs * 2 : programs;
    let counting = 0;
    for (let program = 0; program < programs; program++) if (((optional.daemons >>> program) & 1) === 0) counting++;
    this.counting = counting;
  }

  /** The program whose pending operation is to be executed next; -1 when the execution is over, its outcome noted. */
  next(): number {
    for (;;) {
      const actor = this.choose();
      if (actor < this.words.programs) return actor;
      if (actor === this.timeActor) this.executor.tick();
      else this.executor.flush(actor - this.words.programs);
      if (!this.isAsExpected()) return -1;
    }
  }

  /** Compares the newest event with that of an earlier execution, if there is one. Notes a difference as outcome. */
  isAsExpected(): boolean {
    const { words } = this;
    const event = words.depth - 1;
    if (event >= words.expectedLength) return true;
    const { trace, expected } = words;
    for (let slot = 0; slot < EXPECTED_EVENT; slot++) {
      if (trace[event * EVENT + slot] === expected[event * EXPECTED_EVENT + slot]) continue;
      words.setOutcome(Outcome.DIFFERENT, trace[event * EVENT] as number);
      return false;
    }
    return true;
  }

  private choose(): number {
    const { words } = this;
    if (words.crashed) return this.end(Outcome.FAILED, this.firstCrashed());
    if (words.done < this.counting && words.depth < words.maxSteps) {
      const wanted = words.scheduled;
      if (wanted >= 0 && this.guards.isEnabled(wanted)) {
        words.takeScheduled();
        return wanted;
      }
    }
    return this.chooseAmongAll();
  }

  private chooseAmongAll(): number {
    const { words } = this;
    let enabled = this.guards.enabled();
    const { daemons, hardware } = this.optional;
    const atBound = words.depth >= words.maxSteps;
    if (words.done === this.counting && ((enabled & ~hardware) === 0 || (atBound && (enabled & ~daemons) === 0))) {
      return this.end(Outcome.DONE, -1);
    }
    if (enabled !== 0 && atBound) return this.end(Outcome.LIVELOCK, -1);
    if (enabled === 0) {
      if (!this.someoneSpins()) return this.end(Outcome.DEADLOCK, -1);
      if (words.vainTicks >= VAIN_TICKS) return this.end(Outcome.SPINNING, -1);
      enabled = 1 << this.timeActor;
    }
    const wanted = words.scheduled;
    if (wanted >= 0) {
      if (((enabled >>> wanted) & 1) === 0) return this.end(Outcome.DIVERGED, wanted);
      words.takeScheduled();
      return wanted;
    }
    const last = Math.max(words.lastActor, 0);
    return ((enabled >>> last) & 1) !== 0 ? last : 31 - Math.clz32(enabled & -enabled);
  }

  private end(outcome: number, actor: number): number {
    this.words.setOutcome(outcome, actor);
    return -1;
  }

  private firstCrashed(): number {
    const { words } = this;
    let program = 0;
    while (words.pendingKind(program) !== Op.CRASH) program++;
    return program;
  }

  private someoneSpins(): boolean {
    const { words } = this;
    for (let program = 0; program < words.programs; program++) {
      if (words.pendingKind(program) === Op.RELAX) return true;
    }
    return false;
  }
}
