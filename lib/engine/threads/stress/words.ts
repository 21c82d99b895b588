/**
 * What the threads of a stress session agree by: which iteration is to run, who is through with it, and whose turn it is
 * to touch a machine that no guest runs on.
 *
 * Handing over. The conductor (the thread of the first vCPU that is no daemon's) stores the number of the iteration in GO; each other thread
 * waits for that word to change, runs the iteration, and counts itself in ARRIVED; the conductor waits until all have (those of daemon domains have a count of their own).
 * These are two hand-overs per iteration, by spinning while there is a core for each thread and while it pays. Whoever gives up
 * spinning announces itself in SLEEPERS before it sleeps, and Atomics.wait compares the word once more: a store that
 * comes before the comparison is seen by it, one that comes later finds the announcement and notifies.
 *
 * The gate excludes the timer thread and the main thread from a machine that is being reset: they look at it, and end
 * domains, with the gate taken; the conductor takes it from the arrival of the last thread to the next GO.
 *
 * Giving up. The main thread marks the counts as abandoned before it puts OVER into GO, and with a compare-and-exchange, as all
 * who change GO do: either the conductor has let the next iteration go, and it is the one that is given up, or it never will. A
 * conductor that gets the gate afterwards finds the mark and leaves the machine alone, so that an iteration is not given
 * up by the one and judged by the other.
 */

const APART = 32;
const GO = 0;
const ARRIVED = APART;
const SLEEPERS = 2 * APART;
const GATE = 3 * APART;
const STOP = 4 * APART;
const FIRST_FAILURE = 5 * APART;
const ORIGIN = 6 * APART;
/** As ARRIVED, of the devices: they leave when the vCPUs have. */
const DEVICES_ARRIVED = 7 * APART;
const COMPLETED = 8 * APART;
/** vCPUs that are about to begin. */
const MET = 10 * APART;
/** One per vCPU: where its guest sleeps in wait32, or 0. */
const WAITING = 11 * APART;
/** As ARRIVED, of the vCPUs of daemon domains: they are stopped when the others have arrived. */
const DAEMONS_ARRIVED = 9 * APART;

/** The words in which threads count themselves. */
const COUNTS = [ARRIVED, DAEMONS_ARRIVED, DEVICES_ARRIVED] as const;

// Added to the address, a multiple of 4.
const FOR_GOOD = 1;
const FOR_A_TIME = 2;

/** In GO: the session is over. */
const OVER = -1;
/** In ARRIVED: a thread was lost, nobody need be waited for. */
const ABANDONED = 1 << 30;

/** Looks before sleeping: about a millisecond at most where every thread has a core, next to nothing where not. */
const MOST_SPINS = 100_000;
const FIRST_SPINS = 20_000;
const SPINS_SHARED = 50;
/** A sleep this long (ms) shows that whom one waits for has no core: spinning would keep one from it. */
const LONG_SLEEP_MS = 0.2;
/** Looks at who has come, at most: some hundred microseconds, as long as it may take a sleeper to wake. */
const MOST_MEETING_SPINS = 100_000;
/** Looks at the gate, and how long to sleep between later ones (ms): it is held for microseconds. */
const GATE_SPINS = 1000;
const GATE_SLEEP_MS = 0.05;

/** @param vcpus - of all domains */
export function createStressWords(vcpus: number): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * (WAITING + vcpus * APART));
}

export class StressWords {
  private readonly words: Int32Array;
  private readonly times: Float64Array;
  /** How long to spin next time: scratch of this thread. */
  private spins = FIRST_SPINS;
  /** The same for {@link meet}. */
  private patience = MOST_MEETING_SPINS;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
    this.times = new Float64Array(buffer);
  }

  /** Number of the iteration that runs, or ran last, in this session; 0 before the first. */
  get iteration(): number {
    return Atomics.load(this.words, GO);
  }

  get over(): boolean {
    return this.iteration === OVER;
  }

  // The conductor.

  /** The machine is ready: lets all threads run the iteration. Returns false, and does not, if the session was given up. */
  go(iteration: number, originNs: number): boolean {
    this.times[ORIGIN / 2] = originNs;
    Atomics.store(this.words, FIRST_FAILURE, 0);
    for (const word of COUNTS) Atomics.and(this.words, word, ABANDONED);
    Atomics.store(this.words, MET, 0);
    const went = Atomics.compareExchange(this.words, GO, iteration - 1, iteration) === iteration - 1;
    this.wake(GO);
    return went;
  }

  /** Waits until so many other vCPUs are through. Returns false if a thread was lost. */
  awaitVcpus(count: number, alone: boolean): boolean {
    return this.awaitCount(ARRIVED, count, alone);
  }

  /** The same for vCPUs of daemons. */
  awaitDaemons(count: number, alone: boolean): boolean {
    return this.awaitCount(DAEMONS_ARRIVED, count, alone);
  }

  /** The same for devices. */
  awaitDevices(count: number, alone: boolean): boolean {
    return this.awaitCount(DEVICES_ARRIVED, count, alone);
  }

  /** An iteration is over. */
  countCompleted(): void {
    Atomics.add(this.words, COMPLETED, 1);
  }

  get completed(): number {
    return Atomics.load(this.words, COMPLETED);
  }

  /** No further iteration. */
  end(): void {
    Atomics.store(this.words, GO, OVER);
    this.wake(GO);
  }

  // The other threads.

  /** Waits for the next iteration. Returns its number, or undefined when the session is over. */
  awaitGo(last: number, alone: boolean): number | undefined {
    this.awaitChange(GO, last, alone);
    const { iteration } = this;
    return iteration === OVER ? undefined : iteration;
  }

  /**
   * Waits until so many vCPUs have come here, or for a time: then all begin at once. It takes a core for each.
   * Where some do not come time after time, such as vCPUs that are brought up later, the wait gets short.
   */
  meet(count: number): void {
    const { words } = this;
    let met = Atomics.add(words, MET, 1) + 1;
    for (let left = this.patience; left > 0 && met < count; left--) met = Atomics.load(words, MET);
    this.patience = met < count ? Math.max(this.patience >> 1, 1) : Math.min(this.patience * 2, MOST_MEETING_SPINS);
  }

  arrive(): void {
    this.countIn(ARRIVED);
  }

  daemonArrives(): void {
    this.countIn(DAEMONS_ARRIVED);
  }

  deviceArrives(): void {
    this.countIn(DEVICES_ARRIVED);
  }

  /** System time 0 of the iteration, on the process-wide monotonic clock. */
  get originNs(): number {
    return this.times[ORIGIN / 2] as number;
  }

  // Any thread.

  /** A domain has ended badly; whether it is the first of this iteration. @param domain - its position */
  noteFailure(domain: number): boolean {
    return Atomics.compareExchange(this.words, FIRST_FAILURE, 0, domain + 1) === 0;
  }

  /** Position of the domain that ended badly first, or -1. */
  get failedFirst(): number {
    return Atomics.load(this.words, FIRST_FAILURE) - 1;
  }

  tryGate(): boolean {
    return Atomics.compareExchange(this.words, GATE, 0, 1) === 0;
  }

  /** Waits for the gate. Returns false, without it, if the session was given up: who holds it then may never leave it. */
  takeGate(): boolean {
    for (let look = 0; !this.tryGate(); look++) {
      if (look <= GATE_SPINS) continue;
      if (this.abandoned) return false;
      Atomics.wait(this.words, GATE, 1, GATE_SLEEP_MS);
    }
    if (!this.abandoned) return true;
    this.leaveGate();
    return false;
  }

  leaveGate(): void {
    Atomics.store(this.words, GATE, 0);
  }

  // The main thread.

  /** Ends the session when the iteration that runs is over. */
  requestStop(): void {
    Atomics.store(this.words, STOP, 1);
  }

  get stopRequested(): boolean {
    return Atomics.load(this.words, STOP) !== 0;
  }

  /**
   * Ends the session at once: a thread is lost, so that the iteration will never be over.
   * @returns the iteration that is given up, or undefined if the session was over already
   */
  abandon(): number | undefined {
    const done = this.completed;
    this.requestStop();
    for (const word of COUNTS) {
      Atomics.or(this.words, word, ABANDONED);
      Atomics.notify(this.words, word);
    }
    for (let { iteration } = this; iteration !== OVER; iteration = this.iteration) {
      if (Atomics.compareExchange(this.words, GO, iteration, OVER) !== iteration) continue;
      Atomics.notify(this.words, GO);
      return Math.max(iteration, done + 1);
    }
    return undefined;
  }

  // Guests asleep in wait32.

  /** @param address - where the vCPU's guest sleeps */
  markWaiting(slot: number, address: number, timed: boolean): void {
    Atomics.store(this.words, WAITING + slot * APART, address + (timed ? FOR_A_TIME : FOR_GOOD));
  }

  /** Nobody has claimed the vCPU since it was marked. */
  isWaiting(slot: number): boolean {
    return Atomics.load(this.words, WAITING + slot * APART) !== 0;
  }

  /** It is, and no time limit will end it. */
  isWaitingForGood(slot: number): boolean {
    return (Atomics.load(this.words, WAITING + slot * APART) & 3) === FOR_GOOD;
  }

  /** Takes the mark away. */
  stopWaiting(slot: number): void {
    Atomics.store(this.words, WAITING + slot * APART, 0);
  }

  /** Takes the mark of a vCPU that sleeps at this address away; whether it had it. */
  claimWaiter(slot: number, address: number): boolean {
    const at = WAITING + slot * APART;
    const seen = Atomics.load(this.words, at);
    return (seen & ~3) === address && seen !== 0 && Atomics.compareExchange(this.words, at, seen, 0) === seen;
  }

  private countIn(word: number): void {
    Atomics.add(this.words, word, 1);
    this.wake(word);
  }

  private get abandoned(): boolean {
    return (Atomics.load(this.words, ARRIVED) & ABANDONED) !== 0;
  }

  private awaitCount(word: number, count: number, alone: boolean): boolean {
    for (;;) {
      const seen = Atomics.load(this.words, word);
      if (seen >= count) return (seen & ABANDONED) === 0;
      this.awaitChange(word, seen, alone);
    }
  }

  private wake(word: number): void {
    if (Atomics.load(this.words, SLEEPERS) !== 0) Atomics.notify(this.words, word);
  }

  private awaitChange(word: number, seen: number, alone: boolean): void {
    const { words } = this;
    for (let left = alone ? this.spins : SPINS_SHARED; left > 0; left--) {
      if (Atomics.load(words, word) !== seen) return;
    }
    const since = performance.now();
    Atomics.add(words, SLEEPERS, 1);
    while (Atomics.load(words, word) === seen) Atomics.wait(words, word, seen);
    Atomics.sub(words, SLEEPERS, 1);
    const long = performance.now() - since > LONG_SLEEP_MS;
    this.spins = long ? Math.max(this.spins >> 2, SPINS_SHARED) : Math.min(this.spins * 2, MOST_SPINS);
  }
}
