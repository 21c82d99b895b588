/** The books of a parallel search: what is being explored, what waits to be, and whether anything is left. */

/** A thread that takes a job explores it whole, but for what it shares. All on one thread. */
export interface Board<Job, News, Answer> {
  /** Nothing waits and nothing is being explored. */
  readonly finished: boolean;
  /** A job for a thread that has none; undefined if none waits. */
  take(worker: number): Job | undefined;
  /** Enters what a thread has to tell of its job. Messages of a thread come in the order it sent them. */
  receive(worker: number, news: News): Answer | undefined;
  /** A thread has explored its job; all its news came before. */
  done(worker: number): void;
  /**
   * The part of the space that is behind, 0 to 1, as far as it is known.
   * @param partOf - the same of a thread's job
   */
  explored(partOf: (worker: number) => number): number;
}

/** A thread's side: a strategy that explores one job after the other. */
export interface Share<Job, Answer> {
  /**
   * Takes up a job, once the one before is over.
   * @returns how many events of the last execution the first of the job shares
   */
  load(job: Job): number;
  /** Gives away what it has not begun yet, between two executions. Returns false if that is nothing. */
  share(): boolean;
  receive(answer: Answer): void;
  /** The part of the job that is behind, 0 to 1; between executions. */
  explored(): number;
  /** Events executed again only to get to the beginning of jobs. */
  readonly replayed: number;
}
