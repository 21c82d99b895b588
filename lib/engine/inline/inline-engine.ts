/**
 * The inline engine: runs plain synchronous programs under a strategy, one step at a time, in one thread.
 *
 * A program is called like any function. Its accesses arrive at {@link InlineEngine.step}; the engine records the
 * operation as pending and lets the strategy say who goes on. Executing a pending operation needs no program: the
 * engine has all it takes. A program is needed only to learn what it does next after a result, and
 *  - if its frame is on top of the stack, the engine returns the result to it;
 *  - if its frame is buried and still right, what lies on top is unwound by throwing a private sentinel;
 *  - else the program is called again, on top of the stack, and its operations are answered from its log until
 *    the log runs out.
 * Very often not even that is needed: histories repeat between executions, and the state's {@link OpCache}
 * remembers what followed them; and where the strategy allows it, what usually follows is guessed and checked later
 * (see guesses.ts). The next execution shares a prefix with the last one; it starts by taking back the
 * events after the prefix, wherever on the stack the engine happens to be.
 */
import { type EngineFailure, type FailureKind, nondeterminism, promiseReturned, swallowedUnwinding } from './failure';
import { InlineMemory } from './inline-memory';
import { InlineSteps } from './inline-steps';
import { MachineState } from './machine-state';
import { Notes } from './notes';
import { LOG_EXPECTED, LOG_OPERAND, LOG_RESULT, LOG_TAG, RECORD } from './operation-log';
import { describeOp, ENGINE_BYTES, Op } from './ops';
import type { Program, StepEngine } from './step-engine';
import type { Strategy } from './strategy';
import { type EngineOptions, Verdict } from './verdict';

export type { EngineFailure, EngineOptions, FailureKind, Program };

/** Calls of programs on top of each other before the stack is unwound. */
const MAX_LEVEL = 24;

/** No operation's tag. */
const BASE = 0;

/** Where an access comes from. */
const Mode = {
  /** From set-up or check: executed at once. */
  DIRECT: 0,
  RUNNING: 1,
  /** From code that is being unwound (a finally block): has no effect. */
  UNWINDING: 2,
} as const;

/** Thrown to unwind programs. Nobody but the engine may catch it. */
class Unwind {
  readonly message = 'a program under exploration is being unwound: rethrow what you do not know';
}
const UNWIND = new Unwind();

/** What the engine reports after each execution. */
export interface ExecutionSink {
  /** @returns true to stop the exploration */
  executionDone(failure: EngineFailure | null, blocked: boolean): boolean;
}

export class InlineEngine extends InlineSteps implements StepEngine {
  readonly state: MachineState;
  private mode: number = Mode.DIRECT;
  /** Actor, log and position of the program being re-run; at `limit` the log has run out. */
  private current = 0;
  private log: Int32Array;
  private cursor = 0;
  private limit = 0;

  /** Programs called on top of each other. */
  private level = 0;
  /** Per actor: level of its newest frame (0 = none), and the log position whose result the frame waits for. */
  private readonly frameLevel: Int32Array;
  private readonly framePosition: Int32Array;
  private unwindTo = 0;
  /** Actor chosen whose next operation has yet to be found out; -1 none. */
  private wanted = -1;
  /** The newest event is an atomic hypercall that has yet to be executed to its end. */
  private open = false;
  /** The program wanted is run to check guesses; the strategy has not chosen it. */
  private asking = false;
  private readonly notes = new Notes();
  private stopping = false;
  private strategy!: Strategy;
  private sink!: ExecutionSink;
  private readonly verdict: Verdict;
  /** Events executed since the engine was made. */
  steps = 0;

  /** @param bytes - size of all regions together */
  constructor(
    bytes: number,
    private readonly programs: readonly Program[],
    private readonly options: EngineOptions = {},
  ) {
    super();
    this.state = new MachineState(
      ENGINE_BYTES + bytes,
      programs.length,
      options.memoryModel,
      options.hypercalls === 'atomic',
    );
    this.log = this.state.logs[0] as Int32Array;
    this.frameLevel = new Int32Array(programs.length);
    this.framePosition = new Int32Array(programs.length);
    this.verdict = new Verdict(this.state, programs, options, (code) => this.outside(code));
  }

  /** A region of the address space. Regions do not overlap; the caller lays them out from 0. */
  region(base: number, bytes: number): InlineMemory {
    return new InlineMemory(this, ENGINE_BYTES + base, bytes);
  }

  address(base: number): number {
    return ENGINE_BYTES + base;
  }

  peek32(address: number): number {
    return this.state.i32[address >> 2] as number;
  }

  /** The actor whose program is running (only meaningful inside a program). */
  get actor(): number {
    return this.current;
  }

  /** The program that is running; -1 for code outside any execution, such as the final check. */
  get runningProgram(): number {
    return this.mode === Mode.DIRECT ? -1 : this.current;
  }

  /** True while the running program's operations are answered from its log. */
  get replaying(): boolean {
    return this.cursor < this.limit;
  }

  /** Number of operations the running program has made. */
  get position(): number {
    return this.cursor / RECORD;
  }

  /** One operation of the running program: its result. The hot path of every access. */
  step(tag: number, operand: number, expected: number): number {
    const at = this.cursor;
    if (at < this.limit) {
      const log = this.log;
      if (log[at + LOG_TAG] !== tag || log[at + LOG_OPERAND] !== operand || log[at + LOG_EXPECTED] !== expected) {
        return this.diverged(tag, operand, expected);
      }
      this.cursor = at + RECORD;
      return log[at + LOG_RESULT] as number;
    }
    return this.drive(tag, operand, expected);
  }

  /** Runs code outside any execution, its accesses executed at once; what it writes stays. */
  setup(code: () => void): void {
    this.mode = Mode.DIRECT;
    this.cursor = this.limit = 0;
    code();
    this.state.commit();
  }

  /**
   * Explores until the strategy has nothing left, `sink` says stop, or `until` (ms, performance.now) has passed.
   * @returns true when there is nothing left; false when it may be called again to go on
   */
  explore(strategy: Strategy, sink: ExecutionSink, until = Number.POSITIVE_INFINITY): boolean {
    this.attach(strategy);
    this.sink = sink;
    this.until = until;
    this.stopping = false;
    this.exhausted = false;
    while (!this.stopping) {
      this.mode = Mode.RUNNING;
      this.level = 0;
      try {
        this.drive(BASE, 0, 0);
      } catch (error) {
        if (error !== UNWIND) throw error;
      }
    }
    this.mode = Mode.DIRECT;
    this.cursor = this.limit = 0;
    return this.exhausted;
  }

  /** Makes a strategy the one that is asked; {@link explore} does it too. */
  attach(strategy: Strategy): void {
    if (this.strategy === strategy) return;
    this.strategy = strategy;
    strategy.attach(this.state);
    strategy.begin();
    // An atomic hypercall is one event of many operations; a listener is told of operations when they are made.
    const { hypercalls, onOperation } = this.options;
    if (strategy.forgets === true && hypercalls !== 'atomic' && onOperation === undefined) this.state.guess();
  }

  /** Takes the last execution back to a depth, for {@link explore} to go on from there although it had nothing left or was stopped. */
  resume(depth: number): void {
    this.rewind(depth);
    this.strategy.begin();
  }

  private until = 0;
  private exhausted = false;
  private countdown = 64;

  /**
   * An operation that is not in the log: records it as pending, executes events until the strategy has let it happen
   * and its program has to go on, and returns its result. With {@link BASE} for a tag: executes events at
   * the bottom of the stack, and leaves by throwing only.
   */
  private drive(tag: number, operand: number, expected: number): number {
    const state = this.state;
    const program = this.current;
    const level = this.level;
    let position = 0;
    if (tag !== BASE) {
      if (this.mode !== Mode.RUNNING) {
        if (this.mode === Mode.DIRECT) return state.direct(tag, operand, expected);
        throw UNWIND;
      }
      position = state.pos[program] as number;
      this.options.onOperation?.(program, position);
      state.setPending(program, tag, operand, expected);
      this.frameLevel[program] = level;
      this.framePosition[program] = position;
    }
    for (;;) {
      let actor = this.wanted;
      if (actor < 0) {
        if (!this.stopping) actor = this.pick();
        if (this.stopping) {
          this.startUnwinding(0);
          throw UNWIND;
        }
      }
      if (((state.unknown >>> actor) & 1) !== 0) {
        this.wanted = actor;
        const frame = this.frameLevel[actor] as number;
        if (frame !== 0) {
          if (frame === level) break;
          this.startUnwinding(frame);
          throw UNWIND;
        }
        if (level >= MAX_LEVEL) {
          this.startUnwinding(0);
          throw UNWIND;
        }
        this.run(actor, level);
        continue;
      }
      if (this.wanted >= 0) {
        // Its operation is known now. An eager strategy wants to hear of all of them first.
        this.wanted = -1;
        if (this.open) {
          this.goOn(actor);
          continue;
        }
        if (this.asking) {
          this.asking = false;
          continue;
        }
        if (this.strategy.eager || !state.isEnabled(actor)) continue;
      }
      const choice = state.kind(actor) === Op.CHOOSE ? this.strategy.chooseValue(actor, this.pendingOperand(actor)) : 0;
      state.execute(actor, choice);
      this.steps++;
      if (state.goesOn) {
        this.open = true;
        this.wanted = actor;
        continue;
      }
      this.strategy.executed();
    }
    this.current = program;
    const log = state.logs[program] as Int32Array;
    this.log = log;
    this.cursor = (position + 1) * RECORD;
    this.limit = (state.pos[program] as number) * RECORD;
    return log[position * RECORD + LOG_RESULT] as number;
  }

  /** The atomic hypercall goes on, or has to wait, or is over. */
  private goOn(actor: number): void {
    const { state } = this;
    if (state.extend()) {
      this.steps++;
      if (state.goesOn) {
        this.wanted = actor;
        return;
      }
    }
    this.closeEvent();
  }

  private closeEvent(): void {
    this.open = false;
    this.state.close();
    this.strategy.executed();
  }

  private pendingOperand(actor: number): number {
    const position = this.state.pos[actor] as number;
    return (this.state.logs[actor] as Int32Array)[position * RECORD + LOG_OPERAND] as number;
  }

  /** Calls a program from its start, on top of the stack. Returns when it has ended, or was unwound to here. */
  private run(program: number, level: number): void {
    const state = this.state;
    this.level = level + 1;
    this.current = program;
    this.log = state.logs[program] as Int32Array;
    this.cursor = 0;
    this.limit = (state.pos[program] as number) * RECORD;
    let kind: number = Op.END;
    let value: unknown;
    try {
      value = (this.programs[program] as Program).run();
      if (this.mode === Mode.UNWINDING) this.verdict.fail(swallowedUnwinding(program));
    } catch (error) {
      kind = Op.CRASH;
      value = error;
    }
    if (this.mode === Mode.UNWINDING) {
      if (this.unwindTo !== level) throw UNWIND;
      this.mode = Mode.RUNNING;
    } else {
      this.ended(program, kind, value);
    }
    this.level = level;
    if (this.frameLevel[program] === level + 1) this.frameLevel[program] = 0;
  }

  private ended(program: number, kind: number, value: unknown): void {
    if (this.cursor < this.limit && !this.takeBackGuess()) {
      const tag = this.log[this.cursor + LOG_TAG] as number;
      this.nondeterministic(program, `ended where an earlier run of the same schedule went on with ${describeOp(tag)}`);
      return;
    }
    if (kind === Op.END && value instanceof Promise) {
      value.catch(() => undefined);
      this.state.setEnd(program, Op.CRASH, promiseReturned());
      return;
    }
    this.state.setEnd(program, kind, value);
  }

  /** The running program does something else than its log says: a guess was wrong, or the program is not deterministic. */
  private diverged(tag: number, operand: number, expected: number): number {
    if (this.takeBackGuess()) return this.drive(tag, operand, expected);
    const log = this.log;
    const at = this.cursor;
    const was = `${describeOp(log[at + LOG_TAG] as number)} operand ${log[at + LOG_OPERAND]}`;
    const made = `made ${describeOp(tag)} operand ${operand}`;
    this.nondeterministic(this.current, `${made} where an earlier run of the same schedule made ${was}`);
    this.startUnwinding(0);
    throw UNWIND;
  }

  /** If the running program's next record is a guess: back to before it was executed. Returns false if it is none. */
  private takeBackGuess(): boolean {
    const { state, current } = this;
    const position = this.cursor / RECORD;
    if (!state.isGuess(current, position)) return false;
    state.wasWrong(current, position);
    const depth = state.eventOf(current, position);
    this.steps -= state.depth - depth;
    this.rewind(depth);
    this.notes.takeBack(depth);
    this.wanted = -1;
    this.asking = false;
    return true;
  }

  whenSure(act: () => void): void {
    const { state, current } = this;
    if (this.mode !== Mode.RUNNING || state.guessed === 0 || this.cursor === 0) act();
    else this.notes.add(state.eventOf(current, this.cursor / RECORD - 1), act);
  }

  /** Runs, before anything else, the program whose guesses are the oldest. */
  private askFirst(): number {
    const program = this.state.firstToAsk();
    this.state.ask(program);
    this.asking = true;
    return program;
  }

  /**
   * Ends the execution as a failure, from inside a program, and unwinds the program.
   * @param error - what the program threw; the engine's own exception is passed on
   */
  abort(kind: FailureKind, error: Error): never {
    if (this.mode === Mode.RUNNING) {
      if (this.cursor < this.limit) this.takeBackGuess();
      else this.state.confirm(this.current);
      if (this.state.guessed !== 0) {
        // Others may have led it here by what they will turn out not to do.
        this.state.ask(this.current);
        this.wanted = this.askFirst();
        this.startUnwinding(0);
        throw UNWIND;
      }
      this.verdict.fail({ kind, message: error.message, actor: this.current, error });
      this.stopping = this.finish(false);
      this.startUnwinding(0);
    }
    throw UNWIND;
  }

  /** True when a daemon is parked in the execution that has just ended: it would have gone on. */
  get parked(): boolean {
    if (this.verdict.cutOff) return true;
    for (let program = 0; program < this.programs.length; program++) {
      if (this.state.kind(program) === Op.PARK) return true;
    }
    return false;
  }

  private nondeterministic(program: number, difference: string): void {
    this.verdict.fail(nondeterminism(difference, program));
    this.stopping = this.finish(false);
  }

  /** Prepares a throw of {@link UNWIND} that ends at this level. */
  private startUnwinding(level: number): void {
    this.mode = Mode.UNWINDING;
    this.unwindTo = level;
    this.cursor = this.limit = 0;
    const frames = this.frameLevel;
    for (let program = 0; program < frames.length; program++) {
      if ((frames[program] as number) > level) frames[program] = 0;
    }
  }

  /** Who is next. Ends executions and begins new ones on the way. Sets `stopping` when there is nothing more. */
  private pick(): number {
    const state = this.state;
    for (;;) {
      if (this.strategy.eager && state.unknown !== 0) return 31 - Math.clz32(state.unknown & -state.unknown);
      const able = state.enabled();
      if (state.guessed !== 0 && this.verdict.decides(able)) return this.askFirst();
      const enabled = this.verdict.goingOn(able, this.strategy.runsDaemonsOut === true);
      if (enabled !== 0) {
        const actor = this.strategy.choose(enabled);
        if (actor >= 0) return actor;
      }
      if (this.finish(enabled !== 0)) {
        this.stopping = true;
        return -1;
      }
    }
  }

  /** Runs code outside any execution, in the middle of one; what it writes is taken back. */
  private outside(code: () => void): void {
    const { state, cursor, limit } = this;
    const mark = state.directMark();
    this.mode = Mode.DIRECT;
    this.cursor = this.limit = 0;
    code();
    this.mode = Mode.RUNNING;
    this.cursor = cursor;
    this.limit = limit;
    state.discardDirect(mark);
  }

  /** Reports the execution and takes the state back to where the next one begins. Returns true to stop. */
  private finish(blocked: boolean): boolean {
    if (this.open) this.closeEvent();
    const failure = this.verdict.take(blocked);
    this.wanted = -1;
    this.asking = false;
    this.notes.settle();
    const strategy = this.strategy;
    strategy.end();
    const stop = this.sink.executionDone(failure, blocked);
    if (stop) return true;
    const depth = strategy.next();
    if (depth < 0) {
      this.exhausted = true;
      return true;
    }
    // Short executions are many: the clock is read now and then. A long one may take as long as all of those.
    this.countdown -= 1 + (this.state.depth >> 7);
    this.rewind(depth);
    strategy.begin();
    if (this.countdown > 0) return false;
    this.countdown = 64;
    return performance.now() >= this.until;
  }

  private rewind(depth: number): void {
    const state = this.state;
    const touched = state.rollback(depth) & ((1 << this.programs.length) - 1);
    for (let rest = touched; rest !== 0; rest &= rest - 1) {
      const program = 31 - Math.clz32(rest & -rest);
      // A frame stays right as long as every result it was given still holds.
      if ((this.framePosition[program] as number) > (state.pos[program] as number)) this.frameLevel[program] = 0;
    }
  }
}
