/**
 * Words that the threads of a parallel exploration share, for what cannot wait for a message: to stop, to give work away, that
 * there is mail, how far each is.
 */

/** Words of all. */
const STOP = 0;
const NEXT_BLOCK = 1;
const FAILED_BLOCK = 2;
const EXECUTIONS = 3;
const COMMON = 4;
/** Words of each thread. */
const MAIL = 0;
const SHARE = 1;
const OWN = 2;
/** Figures of each thread. */
const FIGURES = 4;

const NO_BLOCK = 2 ** 31 - 1;

/** Structured-clonable. */
export interface ControlBuffers {
  readonly words: SharedArrayBuffer;
  readonly figures: SharedArrayBuffer;
}

export interface Figures {
  readonly executions: number;
  readonly blocked: number;
  readonly steps: number;
  /** Part of the thread's job that is behind. */
  readonly explored: number;
}

export class Control {
  private readonly words: Int32Array;
  private readonly figures: Float64Array;

  constructor(readonly buffers: ControlBuffers) {
    this.words = new Int32Array(buffers.words);
    this.figures = new Float64Array(buffers.figures);
  }

  static make(workers: number): Control {
    const words = new SharedArrayBuffer((COMMON + workers * OWN) * 4);
    const control = new Control({ words, figures: new SharedArrayBuffer(workers * FIGURES * 8) });
    Atomics.store(control.words, FAILED_BLOCK, NO_BLOCK);
    return control;
  }

  /** Everybody is to end at the next execution. Wakes those that wait for mail. */
  stop(): void {
    Atomics.store(this.words, STOP, 1);
    for (let at = COMMON; at < this.words.length; at += OWN) Atomics.notify(this.words, at + MAIL);
  }

  get stopped(): boolean {
    return Atomics.load(this.words, STOP) !== 0;
  }

  /** The next block of executions that nobody has. */
  nextBlock(): number {
    return Atomics.add(this.words, NEXT_BLOCK, 1);
  }

  /** A block has failed: those after it do not matter any more. */
  blockFailed(block: number): void {
    for (let known = this.failedBlock; block < known; known = this.failedBlock) {
      Atomics.compareExchange(this.words, FAILED_BLOCK, known, block);
    }
  }

  /** The first block known to have failed. */
  get failedBlock(): number {
    return Atomics.load(this.words, FAILED_BLOCK);
  }

  /** Counts an execution of the whole search. Returns how many there are now. */
  countExecution(): number {
    return Atomics.add(this.words, EXECUTIONS, 1) + 1;
  }

  /** Messages posted to a thread, modulo 2^32. */
  mail(worker: number): number {
    return Atomics.load(this.words, this.own(worker, MAIL));
  }

  /** Call after a message has been posted to the thread. */
  posted(worker: number): void {
    Atomics.add(this.words, this.own(worker, MAIL), 1);
    Atomics.notify(this.words, this.own(worker, MAIL));
  }

  /** Sleeps while there is no mail but what has been seen, at most so long. */
  awaitMail(worker: number, seen: number, milliseconds: number): void {
    if (!this.stopped) Atomics.wait(this.words, this.own(worker, MAIL), seen, milliseconds);
  }

  askToShare(worker: number): void {
    Atomics.store(this.words, this.own(worker, SHARE), 1);
  }

  isAskedToShare(worker: number): boolean {
    return Atomics.load(this.words, this.own(worker, SHARE)) !== 0;
  }

  hasShared(worker: number): void {
    Atomics.store(this.words, this.own(worker, SHARE), 0);
  }

  /** What a thread has done since it began. Read while it is written, figures may be of different moments. */
  report(worker: number, { executions, blocked, steps, explored }: Figures): void {
    this.figures.set([executions, blocked, steps, explored], worker * FIGURES);
  }

  figuresOf(worker: number): Figures {
    const [executions = 0, blocked = 0, steps = 0, explored = 0] = this.figures.subarray(worker * FIGURES);
    return { executions, blocked, steps, explored };
  }

  private own(worker: number, word: number): number {
    return COMMON + worker * OWN + word;
  }
}
