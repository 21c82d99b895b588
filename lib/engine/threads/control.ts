/**
 * The engine's own shared words of one run: who has started, who has finished, why a domain ends, when the timer
 * thread wakes, and the figures of each vCPU. Guests and hypervisor do not know them.
 *
 * Words are of two kinds: flags (Atomics, any thread) and figures (plain, written by one thread only; the main
 * thread reads them for displays and looks again after the writer has ended).
 */

import { NOTES } from '../../memory/lock-words';

/**
 * Distance between words of different writers: two cache lines, since a SharedArrayBuffer need not begin where a line
 * does, and half of that could still be shared.
 */
const APART_BYTES = 128;

// Flags of the run.
const TIMER_SEQUENCE = 0;
const TIMER_PLANNED = APART_BYTES / 4;
const STOPPING = 2 * TIMER_PLANNED;
const THREAD_FLAGS = 3 * TIMER_PLANNED;

// Flags of a thread: those of the vCPUs first, in the order of the rows of the table of events.
const THREAD_WORDS = APART_BYTES / 4;
const THREAD = 0;
const FINISHED = 1;
/** The thread's notes of locks, see lock-words.ts. */
const FIRST_NOTE = 2;

// Figures of a vCPU, in doubles so that they never wrap.
const FIGURES = APART_BYTES / 8;
const HYPERCALLS = 0;
const UPCALLS = 1;
const LINES = 2;
const RELAXES = 3;
const IN_HYPERVISOR = 4;
const WAKES = 5;

/** Planned wake-ups are published in units of 2^16 ns, so that one 32-bit word reaches 39 hours. */
const PLAN_UNIT_NS = 65536;
const PLAN_NEVER = 0x7fffffff;
/** Stands for all times that the word does not reach. */
const PLAN_BEYOND = PLAN_NEVER - 1;
/** The timer thread is awake and will look at all timers again before it sleeps. */
const PLAN_AWAKE = -1;

/** Structured-clonable. */
export interface ControlBuffers {
  readonly flags: SharedArrayBuffer;
  readonly domains: SharedArrayBuffer;
  readonly figures: SharedArrayBuffer;
  /** Row t, column v: events that thread t raised for vCPU v. Each thread writes its own row only. */
  readonly events: SharedArrayBuffer;
}

/** How many vCPUs (of all domains), domains, and threads that raise events (vCPUs first) the run has. */
export interface ControlShape {
  readonly vcpus: number;
  readonly domains: number;
  readonly threads: number;
}

export function createControlBuffers({ vcpus, domains, threads }: ControlShape): ControlBuffers {
  return {
    flags: new SharedArrayBuffer(4 * (THREAD_FLAGS + threads * THREAD_WORDS)),
    domains: new SharedArrayBuffer(4 * domains),
    figures: new SharedArrayBuffer(8 * vcpus * FIGURES),
    events: new SharedArrayBuffer(8 * rowLength(vcpus) * threads),
  };
}

/** Doubles in a row of the table of events: a thread's counts and what keeps them apart from the next thread's. */
function rowLength(vcpus: number): number {
  return vcpus + APART_BYTES / 8;
}

/** One thread's access to the words of a run. vCPUs are numbered across the domains, domains by position. */
export class Control {
  private readonly flags: Int32Array;
  private readonly domains: Int32Array;
  private readonly figures: Float64Array;
  private readonly events: Float64Array;
  readonly vcpus: number;
  private readonly rowLength: number;

  constructor(readonly buffers: ControlBuffers) {
    this.flags = new Int32Array(buffers.flags);
    this.domains = new Int32Array(buffers.domains);
    this.figures = new Float64Array(buffers.figures);
    this.events = new Float64Array(buffers.events);
    this.vcpus = this.figures.length / FIGURES;
    this.rowLength = rowLength(this.vcpus);
  }

  // Life of a thread.

  /** @param threadId - of the worker that has begun with this row's task; whoever sees this knows whom to end */
  markStarted(row: number, threadId: number): void {
    Atomics.store(this.flags, this.flag(row, THREAD), threadId);
  }

  /** Thread id of the worker; 0 until it has started. A vCPU's row is its number. */
  threadOf(row: number): number {
    return Atomics.load(this.flags, this.flag(row, THREAD));
  }

  /** The guest function has returned or was given up: the vCPU will not run again. */
  markFinished(vcpu: number): void {
    Atomics.store(this.flags, this.flag(vcpu, FINISHED), 1);
  }

  isFinished(vcpu: number): boolean {
    return Atomics.load(this.flags, this.flag(vcpu, FINISHED)) !== 0;
  }

  /** The thread's notes of the locks it holds for reading, see lock-words.ts. */
  notesOf(row: number): Int32Array {
    const first = this.flag(row, FIRST_NOTE);
    return this.flags.subarray(first, first + NOTES);
  }

  /** Whether a thread has noted a lock. */
  hasNote(row: number, note: number): boolean {
    const first = this.flag(row, FIRST_NOTE);
    for (let at = first; at < first + NOTES; at++) if (Atomics.load(this.flags, at) === note) return true;
    return false;
  }

  /** Threads that have a row. */
  get rows(): number {
    return (this.flags.length - THREAD_FLAGS) / THREAD_WORDS;
  }

  // End of domains and run.

  /** Notes why a domain ends, if nothing else was noted before. Returns whether this was the first cause. */
  claimExit(domain: number, cause: number): boolean {
    return Atomics.compareExchange(this.domains, domain, 0, cause) === 0;
  }

  /** The first cause; 0 while the domain runs. */
  exitCause(domain: number): number {
    return Atomics.load(this.domains, domain);
  }

  /** Makes the devices leave. */
  stopDevices(): void {
    Atomics.store(this.flags, STOPPING, 1);
    Atomics.notify(this.flags, STOPPING);
  }

  /** Ends the threads of timers and devices. */
  stopHardware(): void {
    this.stopDevices();
    Atomics.add(this.flags, TIMER_SEQUENCE, 1);
    Atomics.notify(this.flags, TIMER_SEQUENCE);
  }

  get hardwareStopped(): boolean {
    return Atomics.load(this.flags, STOPPING) !== 0;
  }

  /** A device sleeps. Returns early when the hardware stops. */
  sleepDevice(ns: number): void {
    Atomics.wait(this.flags, STOPPING, 0, ns / 1e6);
  }

  // Timer thread. See timer-thread.ts for the order of these.

  timerSequence(): number {
    return Atomics.load(this.flags, TIMER_SEQUENCE);
  }

  /**
   * The timer thread is awake.
   * @returns when it was to wake: as it had planned, or as {@link pokeTimer} asked; system time in ns
   */
  markTimerAwake(): number {
    const plan = Atomics.exchange(this.flags, TIMER_PLANNED, PLAN_AWAKE);
    return plan === PLAN_NEVER ? Number.POSITIVE_INFINITY : plan * PLAN_UNIT_NS;
  }

  /** @param deadlineNs - system time; Infinity for never */
  planTimer(deadlineNs: number): void {
    Atomics.store(this.flags, TIMER_PLANNED, planned(deadlineNs));
  }

  /** True while the timer thread may be expiring timers. */
  get timerAwake(): boolean {
    return Atomics.load(this.flags, TIMER_PLANNED) === PLAN_AWAKE;
  }

  sleepTimer(sequence: number, ns: number): void {
    Atomics.wait(this.flags, TIMER_SEQUENCE, sequence, ns / 1e6);
  }

  /**
   * A timer was armed for `deadlineNs`: changes the timer thread's plan and wakes it, if it means to sleep longer. A
   * deadline in the same unit of time as the plan does not count as earlier.
   * @returns whether the plan was changed
   */
  pokeTimer(deadlineNs: number): boolean {
    const wanted = planned(deadlineNs);
    for (;;) {
      const plan = Atomics.load(this.flags, TIMER_PLANNED);
      if (wanted >= plan && (wanted !== PLAN_BEYOND || plan === PLAN_AWAKE)) return false;
      if (Atomics.compareExchange(this.flags, TIMER_PLANNED, plan, wanted) === plan) break;
    }
    Atomics.add(this.flags, TIMER_SEQUENCE, 1);
    Atomics.notify(this.flags, TIMER_SEQUENCE);
    return true;
  }

  /** True while the timer thread means to wake some time, or is awake. Before it has begun: whether it is needed. */
  get timerWanted(): boolean {
    return Atomics.load(this.flags, TIMER_PLANNED) !== PLAN_NEVER;
  }

  /** For a machine that is booted again on the same threads, when none of them is at work in it: nobody has finished. */
  restart(): void {
    for (let domain = 0; domain < this.domains.length; domain++) Atomics.store(this.domains, domain, 0);
    for (let at = THREAD_FLAGS + FINISHED; at < this.flags.length; at += THREAD_WORDS) Atomics.store(this.flags, at, 0);
    Atomics.store(this.flags, STOPPING, 0);
  }

  // Figures. Plain: each is written by the thread of its vCPU (events: of its row) alone.

  /** What the vCPU's own thread counts with. */
  meterOf(vcpu: number): VcpuMeter {
    return new VcpuMeter(this.figures.subarray(vcpu * FIGURES, (vcpu + 1) * FIGURES));
  }

  countEvent(thread: number, vcpu: number): void {
    (this.events[thread * this.rowLength + vcpu] as number)++;
  }

  hypercalls(vcpu: number): number {
    return this.figures[vcpu * FIGURES + HYPERCALLS] as number;
  }

  upcalls(vcpu: number): number {
    return this.figures[vcpu * FIGURES + UPCALLS] as number;
  }

  relaxes(vcpu: number): number {
    return this.figures[vcpu * FIGURES + RELAXES] as number;
  }

  wakes(vcpu: number): number {
    return this.figures[vcpu * FIGURES + WAKES] as number;
  }

  inHypervisor(vcpu: number): boolean {
    return this.figures[vcpu * FIGURES + IN_HYPERVISOR] !== 0;
  }

  eventsFor(vcpu: number): number {
    let sum = 0;
    for (let i = vcpu; i < this.events.length; i += this.rowLength) sum += this.events[i] as number;
    return sum;
  }

  /** Grows whenever the vCPU does something that a stuck guest does not: the heartbeat of the watchdog. */
  heartbeat(vcpu: number): number {
    const i = vcpu * FIGURES;
    const figures = this.figures;
    return (figures[i + HYPERCALLS] as number) + (figures[i + UPCALLS] as number) + (figures[i + LINES] as number);
  }

  private flag(row: number, word: number): number {
    return THREAD_FLAGS + row * THREAD_WORDS + word;
  }
}

/** The figures of one vCPU, in the hands of its own thread: plain increments, no sharing of the words it writes. */
export class VcpuMeter {
  /** @param figures - the vCPU's, FIGURES of them */
  constructor(private readonly figures: Float64Array) {}

  countHypercall(): void {
    (this.figures[HYPERCALLS] as number)++;
    this.figures[IN_HYPERVISOR] = 1;
  }

  /** Marks code that must not be cut off in the middle: it may hold a lock. */
  enterHypervisor(): void {
    this.figures[IN_HYPERVISOR] = 1;
  }

  leaveHypervisor(): void {
    this.figures[IN_HYPERVISOR] = 0;
  }

  countUpcall(): void {
    (this.figures[UPCALLS] as number)++;
  }

  countLine(): void {
    (this.figures[LINES] as number)++;
  }

  countRelax(): void {
    (this.figures[RELAXES] as number)++;
  }

  /** The vCPU goes on after it was blocked. */
  countWake(): void {
    (this.figures[WAKES] as number)++;
  }
}

/** Rounded down, so that a thread that sleeps until then never sleeps too long. */
function planned(deadlineNs: number): number {
  if (deadlineNs === Number.POSITIVE_INFINITY) return PLAN_NEVER;
  return Math.min(Math.floor(deadlineNs / PLAN_UNIT_NS), PLAN_BEYOND);
}
