/**
 * The baton: who of the threads may run. It goes straight from holder to holder; one word per program, on a cache line
 * of its own, says what became of it.
 *
 * Ordering. A holder writes plain words, then stores GO into the next one's word (a read-modify-write of Atomics); that
 * thread reads GO from it before it does anything. So all that was written before is seen, and nobody but the holder writes.
 * A thread that is about to sleep turns its word from WAITING into ASLEEP and sleeps only while it says so; whoever
 * hands over turns ASLEEP into GO and then notifies. Either change finds the other's, so no hand-over is slept through.
 * OVER is final: nothing but the start of the next execution overwrites it.
 */
import { ARRIVED, type SharedWords, TURN } from './shared-words';

const WAITING = 0;
const GO = 1;
const OVER = 2;
const ASLEEP = -1;

/** Looks at the word before a thread sleeps: they take somewhat less than being woken does. */
const LOOKS = 6000;

export class Baton {
  private readonly turn: Int32Array<SharedArrayBuffer>;

  /**
   * @param watchers - threads that may watch their words at a time instead of sleeping, as many as the machine has cores
   * to spare: those that have handed over last
   */
  constructor(
    private readonly words: SharedWords,
    private readonly watchers: number,
  ) {
    this.turn = words.words;
  }

  /**
   * A program has come to its first step, or ended before it.
   * @returns true for the last one: it has the baton
   */
  arrive(program: number): boolean {
    if (Atomics.add(this.turn, ARRIVED, 1) + 1 < this.words.programs) return false;
    this.words.holder = program;
    return true;
  }

  /** Gives the baton to another program's thread. Nothing happens when the execution is over. */
  hand(program: number): void {
    const { turn } = this;
    const at = this.words.actorWord(program, TURN);
    this.words.holder = program;
    this.words.switches++;
    if (Atomics.compareExchange(turn, at, WAITING, GO) === WAITING) return;
    if (Atomics.compareExchange(turn, at, ASLEEP, GO) === ASLEEP) Atomics.notify(turn, at);
  }

  /** Waits for the baton. Returns false when the execution is over. */
  await(program: number): boolean {
    const { turn } = this;
    const at = this.words.actorWord(program, TURN);
    this.watch(at);
    if (Atomics.compareExchange(turn, at, WAITING, ASLEEP) === WAITING) {
      while (Atomics.load(turn, at) === ASLEEP) Atomics.wait(turn, at, ASLEEP);
    }
    return Atomics.compareExchange(turn, at, GO, WAITING) === GO;
  }

  /** Whether the execution is over, for the holder. */
  isOver(program: number): boolean {
    return Atomics.load(this.turn, this.words.actorWord(program, TURN)) === OVER;
  }

  /** Nobody goes on: all threads leave the execution. May be called from any thread, also twice. */
  end(): void {
    const { turn, words } = this;
    for (let program = 0; program < words.programs; program++) {
      const at = words.actorWord(program, TURN);
      if (Atomics.exchange(turn, at, OVER) === ASLEEP) Atomics.notify(turn, at);
    }
  }

  private watch(at: number): void {
    const { turn, words } = this;
    const last = words.switches + this.watchers;
    for (let looks = LOOKS; looks > 0 && words.switches < last; looks--) {
      if (Atomics.load(turn, at) !== WAITING) return;
    }
  }
}
