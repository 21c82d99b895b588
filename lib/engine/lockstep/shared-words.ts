/**
 * The lockstep engine's own shared words for one machine: the schedule, how far it has been executed, what each actor is
 * about to do, the trace so far, and the baton. Guests and hypervisor do not know them.
 *
 * All but a few are plain: they belong to whoever holds the baton (to the main thread between executions), and
 * handing the baton over is an atomic store that the next holder has read, so what the one wrote the other
 * sees. The atomic words are those of the baton (baton.ts) and the first ones below.
 */

/** What identifies an execution in the making. Structured-clonable. */
export interface LockstepBuffers {
  readonly words: SharedArrayBuffer;
  readonly numbers: SharedArrayBuffer;
  readonly trace: SharedArrayBuffer;
  /** Actor of each event. */
  readonly schedule: SharedArrayBuffer;
  /** Results of the choices, in the order they are made. */
  readonly choices: SharedArrayBuffer;
  /** What an earlier execution of the schedule did; see {@link SharedWords.expect}. */
  readonly expected: SharedArrayBuffer;
  readonly programs: number;
  readonly maxSteps: number;
}

/** How an execution has ended. */
export const Outcome = {
  NONE: 0,
  /** Every program that counts has ended. */
  DONE: 1,
  /** A program failed. */
  FAILED: 2,
  DEADLOCK: 3,
  LIVELOCK: 4,
  SPINNING: 5,
  /** The schedule names an actor that cannot go on. */
  DIVERGED: 6,
  /** An actor did something else than in an earlier execution of the schedule. */
  DIFFERENT: 7,
} as const;

// Atomic words of the session, a cache line each. Workers sleep on EXECUTION, the number of the newest execution, between
// executions; it is CLOSED when there will be no further ones.
export const EXECUTION = 0;
export const CLOSED = -1;
export const ARRIVED = 16;
/** Times the baton went from thread to thread. */
const SWITCHES = 32;
/** Events executed, and who holds the baton: atomic so that the main thread may look while an execution runs. */
const DEPTH = 48;
const HOLDER = 49;
/** Programs that count and have ended; programs that have thrown. Counted before there is a baton, too. */
const DONE = 50;
const CRASHED = 51;
const OUTCOME = 52;

// Plain words.
const SCHEDULE_LENGTH = 64;
const SCHEDULE_POSITION = 65;
const CHOICES_LENGTH = 66;
const CHOICES_POSITION = 67;
const EXPECTED_LENGTH = 68;
const OUTCOME_ACTOR = 70;
const TICKS = 72;
const VAIN_TICKS = 73;
const LAST_ACTOR = 74;
const ACTORS = 80;

// Words of an actor: two cache lines, the first for the baton.
const ACTOR_WORDS = 32;
export const TURN = 0;
const THREAD = 16;
/** Kind of the pending operation; Op.NONE while the actor has not told its first one. */
const PENDING_KIND = 17;
/** Newest event of the actor, -1 none. */
const LAST_EVENT = 18;
/** Oldest and newest store in the actor's store buffer, as events; -1 none. */
const OLDEST_STORE = 20;
const NEWEST_STORE = 21;
/** Where the actor sleeps in wait32 (address + 1), NOTIFIED, or 0. */
const SLEEPER = 22;
/** TICKS when the pending operation became known. */
const PENDING_TICKS = 23;

// Numbers (doubles: times do not fit a word).
const CLOCK = 0;
const DEADLINE = 1;
const STARTED = 2;
const ENDED = 3;
const ACTOR_NUMBERS = 8;
const PENDING = 4;
const PENDING_TAG = 0;
const PENDING_OPERAND = 1;
const PENDING_EXPECTED = 2;

/** Slots of an event in the trace. */
export const EVENT = 10;
export const EVENT_ACTOR = 0;
export const EVENT_TAG = 1;
export const EVENT_OPERAND = 2;
export const EVENT_EXPECTED = 3;
export const EVENT_RESULT = 4;
/** What the location holds before and after. */
export const EVENT_BEFORE = 5;
export const EVENT_AFTER = 6;
/** The actor's event before, -1 none. */
export const EVENT_PREVIOUS = 7;
/** The next store in the same buffer, -1 none. */
export const EVENT_NEXT_STORE = 8;

/** Slots of an event in the record of an earlier execution: as the first ones of {@link EVENT}. */
export const EXPECTED_EVENT = 5;

/**
 * @param programs - vCPUs, devices and the timer; each has a store buffer besides
 * @param maxSteps - events of one execution at most
 */
export function createLockstepBuffers(programs: number, maxSteps: number): LockstepBuffers {
  const events = maxSteps + 1;
  return {
    words: new SharedArrayBuffer(4 * (ACTORS + programs * ACTOR_WORDS)),
    numbers: new SharedArrayBuffer(8 * (PENDING + programs * ACTOR_NUMBERS)),
    trace: new SharedArrayBuffer(8 * EVENT * events),
    schedule: new SharedArrayBuffer(events),
    choices: new SharedArrayBuffer(events),
    expected: new SharedArrayBuffer(8 * EXPECTED_EVENT * events),
    programs,
    maxSteps,
  };
}

/** One thread's access to the words. */
export class SharedWords {
  readonly programs: number;
  readonly maxSteps: number;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly trace: Float64Array;
  readonly schedule: Uint8Array;
  readonly choices: Uint8Array;
  readonly expected: Float64Array;
  private readonly numbers: Float64Array;

  constructor(readonly buffers: LockstepBuffers) {
    this.programs = buffers.programs;
    this.maxSteps = buffers.maxSteps;
    this.words = new Int32Array(buffers.words);
    this.numbers = new Float64Array(buffers.numbers);
    this.trace = new Float64Array(buffers.trace);
    this.schedule = new Uint8Array(buffers.schedule);
    this.choices = new Uint8Array(buffers.choices);
    this.expected = new Float64Array(buffers.expected);
  }

  /** Puts everything back to where an execution of this schedule starts. Nobody else may be at work. */
  begin(actors: ArrayLike<number>, choices: ArrayLike<number>, start: { clockNs: number; deadlineNs: number }): void {
    const { words } = this;
    Atomics.store(words, ARRIVED, 0);
    Atomics.store(words, DEPTH, 0);
    Atomics.store(words, SWITCHES, 0);
    Atomics.store(words, HOLDER, -1);
    Atomics.store(words, DONE, 0);
    Atomics.store(words, CRASHED, 0);
    Atomics.store(words, OUTCOME, Outcome.NONE);
    words.fill(0, SCHEDULE_LENGTH, ACTORS);
    words[SCHEDULE_LENGTH] = fill(this.schedule, actors);
    words[CHOICES_LENGTH] = fill(this.choices, choices);
    words[LAST_ACTOR] = -1;
    for (let actor = 0; actor < this.programs; actor++) this.beginActor(actor);
    this.clockNs = start.clockNs;
    this.deadlineNs = start.deadlineNs;
    this.numbers[STARTED] = 0;
    this.numbers[ENDED] = 0;
  }

  private beginActor(actor: number): void {
    const at = this.actorWord(actor, 0);
    Atomics.store(this.words, at + TURN, 0);
    this.words[at + PENDING_KIND] = 0;
    this.words[at + LAST_EVENT] = -1;
    this.words[at + OLDEST_STORE] = -1;
    this.words[at + NEWEST_STORE] = -1;
    this.words[at + SLEEPER] = 0;
  }

  /** What an earlier execution did: {@link EXPECTED_EVENT} numbers per event. To be called after {@link begin}. */
  expect(events: ArrayLike<number>): void {
    this.words[EXPECTED_LENGTH] = fill(this.expected, events) / EXPECTED_EVENT;
  }

  get expectedLength(): number {
    return this.words[EXPECTED_LENGTH] as number;
  }

  /** Index of a word of an actor. */
  actorWord(actor: number, word: number): number {
    return ACTORS + actor * ACTOR_WORDS + word;
  }

  // Progress.

  get depth(): number {
    return Atomics.load(this.words, DEPTH);
  }

  set depth(events: number) {
    Atomics.store(this.words, DEPTH, events);
  }

  /** The program that holds the baton, -1 before the first. */
  get holder(): number {
    return Atomics.load(this.words, HOLDER);
  }

  set holder(actor: number) {
    Atomics.store(this.words, HOLDER, actor);
  }

  /** Programs that have ended, of those that are no daemons. */
  get done(): number {
    return Atomics.load(this.words, DONE);
  }

  countDone(): void {
    Atomics.add(this.words, DONE, 1);
  }

  get crashed(): boolean {
    return Atomics.load(this.words, CRASHED) !== 0;
  }

  countCrash(): void {
    Atomics.add(this.words, CRASHED, 1);
  }

  /** The actor the schedule names next, or -1 when it is used up. */
  get scheduled(): number {
    const position = this.words[SCHEDULE_POSITION] as number;
    return position < (this.words[SCHEDULE_LENGTH] as number) ? (this.schedule[position] as number) : -1;
  }

  takeScheduled(): void {
    (this.words[SCHEDULE_POSITION] as number)++;
  }

  /** The next choice, below `count`. */
  takeChoice(count: number): number {
    const position = this.words[CHOICES_POSITION] as number;
    this.words[CHOICES_POSITION] = position + 1;
    if (position >= (this.words[CHOICES_LENGTH] as number)) return 0;
    return Math.min(this.choices[position] as number, count - 1);
  }

  /** Actor of the newest event, -1 before the first. */
  get lastActor(): number {
    return this.words[LAST_ACTOR] as number;
  }

  set lastActor(actor: number) {
    this.words[LAST_ACTOR] = actor;
  }

  /** Times the baton went from thread to thread. */
  get switches(): number {
    return Atomics.load(this.words, SWITCHES);
  }

  set switches(count: number) {
    Atomics.store(this.words, SWITCHES, count);
  }

  get outcome(): number {
    return Atomics.load(this.words, OUTCOME);
  }

  /** The actor the outcome is about, or -1. */
  get outcomeActor(): number {
    return this.words[OUTCOME_ACTOR] as number;
  }

  setOutcome(outcome: number, actor: number): void {
    this.words[OUTCOME_ACTOR] = actor;
    Atomics.store(this.words, OUTCOME, outcome);
  }

  // Time.

  get clockNs(): number {
    return this.numbers[CLOCK] as number;
  }

  set clockNs(timeNs: number) {
    this.numbers[CLOCK] = timeNs;
  }

  /** 0: the timer is not armed. */
  get deadlineNs(): number {
    return this.numbers[DEADLINE] as number;
  }

  set deadlineNs(timeNs: number) {
    this.numbers[DEADLINE] = timeNs;
  }

  /** How often time has passed because nothing but spinning was left. */
  get ticks(): number {
    return this.words[TICKS] as number;
  }

  set ticks(count: number) {
    this.words[TICKS] = count;
  }

  /** Of those, how many since an event last changed anything. */
  get vainTicks(): number {
    return this.words[VAIN_TICKS] as number;
  }

  set vainTicks(count: number) {
    this.words[VAIN_TICKS] = count;
  }

  /** Real time (ns) of the first event and of the end, on the process-wide monotonic clock. */
  markStart(nowNs: number): void {
    this.numbers[STARTED] = nowNs;
  }

  markEnd(nowNs: number): void {
    this.numbers[ENDED] = nowNs;
  }

  get elapsedNs(): number {
    return (this.numbers[ENDED] as number) - (this.numbers[STARTED] as number);
  }

  // Actors.

  /** Thread id of the worker that runs the actor; 0 until it has started. */
  threadOf(actor: number): number {
    return Atomics.load(this.words, this.actorWord(actor, THREAD));
  }

  setThread(actor: number, threadId: number): void {
    Atomics.store(this.words, this.actorWord(actor, THREAD), threadId);
  }

  /** Atomic: the main thread may look while an execution runs. */
  pendingKind(actor: number): number {
    return Atomics.load(this.words, this.actorWord(actor, PENDING_KIND));
  }

  pendingTag(actor: number): number {
    return this.numbers[PENDING + actor * ACTOR_NUMBERS + PENDING_TAG] as number;
  }

  pendingOperand(actor: number): number {
    return this.numbers[PENDING + actor * ACTOR_NUMBERS + PENDING_OPERAND] as number;
  }

  pendingExpected(actor: number): number {
    return this.numbers[PENDING + actor * ACTOR_NUMBERS + PENDING_EXPECTED] as number;
  }

  pendingTicks(actor: number): number {
    return this.words[this.actorWord(actor, PENDING_TICKS)] as number;
  }

  setPending(actor: number, kind: number, tag: number, operand: number, expected: number): void {
    const at = PENDING + actor * ACTOR_NUMBERS;
    this.numbers[at + PENDING_TAG] = tag;
    this.numbers[at + PENDING_OPERAND] = operand;
    this.numbers[at + PENDING_EXPECTED] = expected;
    this.words[this.actorWord(actor, PENDING_TICKS)] = this.ticks;
    Atomics.store(this.words, this.actorWord(actor, PENDING_KIND), kind);
  }

  lastEvent(actor: number): number {
    return this.words[this.actorWord(actor, LAST_EVENT)] as number;
  }

  setLastEvent(actor: number, event: number): void {
    this.words[this.actorWord(actor, LAST_EVENT)] = event;
  }

  oldestStore(actor: number): number {
    return this.words[this.actorWord(actor, OLDEST_STORE)] as number;
  }

  setOldestStore(actor: number, event: number): void {
    this.words[this.actorWord(actor, OLDEST_STORE)] = event;
  }

  newestStore(actor: number): number {
    return this.words[this.actorWord(actor, NEWEST_STORE)] as number;
  }

  setNewestStore(actor: number, event: number): void {
    this.words[this.actorWord(actor, NEWEST_STORE)] = event;
  }

  sleeper(actor: number): number {
    return this.words[this.actorWord(actor, SLEEPER)] as number;
  }

  setSleeper(actor: number, value: number): void {
    this.words[this.actorWord(actor, SLEEPER)] = value;
  }
}

/** Copies as many values as there is room for, more than an execution can use, and returns how many. */
function fill(target: Uint8Array | Float64Array, values: ArrayLike<number>): number {
  const count = Math.min(values.length, target.length);
  for (let i = 0; i < count; i++) target[i] = values[i] as number;
  return count;
}
