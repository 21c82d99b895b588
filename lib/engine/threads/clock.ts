/**
 * System time for all threads of the process from one origin, without a BigInt per reading.
 *
 * `performance.now()` is cheap, but counts from the start of its own thread. Its distance from the process's
 * monotonic clock is constant, so it is measured once per thread, as the tightest interval over some readings:
 * the clocks of two threads agree to some tens of nanoseconds, less than a word takes to travel between cores.
 */

const CALIBRATIONS = 16;

/** Nanoseconds to add to this thread's performance.now() to get the process-wide monotonic clock. */
function measureThreadOffsetNs(): number {
  let least = Number.NEGATIVE_INFINITY;
  let most = Number.POSITIVE_INFINITY;
  for (let i = 0; i < CALIBRATIONS; i++) {
    const before = Number(process.hrtime.bigint());
    const own = performance.now() * 1e6;
    const after = Number(process.hrtime.bigint());
    least = Math.max(least, before - own);
    most = Math.min(most, after - own);
  }
  return (least + most) / 2;
}

let threadOffsetNs: number | undefined;

/** The process-wide monotonic clock, in nanoseconds: what origins are made of. */
export function monotonicNs(): number {
  threadOffsetNs ??= measureThreadOffsetNs();
  return Math.round(performance.now() * 1e6 + threadOffsetNs);
}

export class SystemClock {
  private offsetNs = 0;

  /** @param originNs - system time 0, as {@link monotonicNs} told it on any thread */
  constructor(originNs: number) {
    this.restart(originNs);
  }

  /** Time begins anew: for a machine that is booted again on the same threads. */
  restart(originNs: number): void {
    threadOffsetNs ??= measureThreadOffsetNs();
    this.offsetNs = threadOffsetNs - originNs;
  }

  /** System time in whole nanoseconds. */
  now(): number {
    return Math.round(performance.now() * 1e6 + this.offsetNs);
  }
}
