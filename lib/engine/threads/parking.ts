/**
 * How a vCPU's thread sleeps while the vCPU may not run, and how long it watches for an upcall before that (halt
 * polling).
 *
 * Sleeping and being woken through the operating system costs some 50 µs, an event seen while watching well under one.
 * So watching pays when events come quickly, and only then: the time spent watching grows while sleeps turn out
 * short and falls to nothing after a long one, so an idle vCPU costs nothing. It is the policy of KVM's
 * halt polling. With more vCPUs than cores nobody watches: the time would be the sender's.
 *
 * Ordering. The hypervisor has set BLOCKED and looked for something to wake up for before it gets here, and every waker
 * test-and-clears BLOCKED. A sleeper sets PARKED in the same word before it looks a last time, in the operation
 * that looks; Atomics.wait compares the word with what it then saw. A waker that cleared BLOCKED before is seen
 * by that look or by that comparison; one that clears it later finds PARKED and notifies.
 */
import { PauseFlag } from '../../hypervisor/platform';

const { BLOCKED, DOWN, PARKED, STOP } = PauseFlag;
const MUST_WAIT = BLOCKED | DOWN;

/** Sleeps below this make halt polling longer, others end it. */
const SHORT_SLEEP_NS = 200_000;
/** Looks at evtchn_upcall_pending while watching: about 10 µs to begin with, 200 µs at most. */
const FIRST_LOOKS = 5_000;
const MAX_LOOKS = 100_000;

/** Spin-wait rounds before the thread lets others run: on a machine with a core for each vCPU, and without. */
const ROUNDS_ALONE = 1 << 16;
const ROUNDS_SHARED = 1 << 7;
/** Long enough that the scheduler runs somebody else (ms). */
const STAND_BACK_MS = 0.01;

export class Parking {
  private readonly flags: Int32Array;
  private readonly index: number;
  /** This thread alone sleeps on it, to let others run. */
  private readonly bench = new Int32Array(new SharedArrayBuffer(4));
  private readonly rounds: number;
  /** Looks of the next watch: scratch of this thread. */
  private looks = 0;
  private round = 0;

  /**
   * @param state - private memory of the domain
   * @param pauseFlagsAddress - in it, of the vCPU's pause flags
   * @param haltPolling - there is a core for each vCPU
   */
  constructor(
    state: SharedArrayBuffer,
    pauseFlagsAddress: number,
    private readonly haltPolling: boolean,
    private readonly now: () => number,
  ) {
    this.flags = new Int32Array(state);
    this.index = pauseFlagsAddress >> 2;
    this.rounds = haltPolling ? ROUNDS_ALONE : ROUNDS_SHARED;
  }

  /** How often to look for an upcall before going to sleep; 0 for not at all. */
  get patience(): number {
    return this.looks;
  }

  /** Sleeps; returns when the vCPU may run or has to leave, see {@link stopping}. */
  waitUntilRunnable(): void {
    if (!this.haltPolling) {
      this.sleep();
      return;
    }
    const start = this.now();
    this.sleep();
    const sleptNs = this.now() - start;
    if (sleptNs > SHORT_SLEEP_NS) this.looks = 0;
    else this.looks = Math.min(Math.max(this.looks * 2, FIRST_LOOKS), MAX_LOOKS);
  }

  /** True once the engine wants the vCPU to leave. */
  get stopping(): boolean {
    return (Atomics.load(this.flags, this.index) & STOP) !== 0;
  }

  /** A round of a spin-wait loop: now and then the thread stands back, in case what it waits for needs this core. */
  spin(): void {
    if (++this.round < this.rounds) return;
    this.round = 0;
    this.standBack();
  }

  /** SCHEDOP_yield. */
  yield(): void {
    if (!this.haltPolling) this.standBack();
  }

  private standBack(): void {
    Atomics.wait(this.bench, 0, 0, STAND_BACK_MS);
  }

  private sleep(): void {
    const { flags, index } = this;
    for (;;) {
      const seen = Atomics.or(flags, index, PARKED) | PARKED;
      if ((seen & MUST_WAIT) === 0 || (seen & STOP) !== 0) break;
      Atomics.wait(flags, index, seen);
    }
    Atomics.and(flags, index, ~PARKED);
  }
}
