/**
 * Chaos: delays at accesses, so that narrow windows between two of them open.
 *
 * A window opens only if the delay is of the length of what has to happen inside it, which nobody knows. So the lengths
 * vary over five orders of magnitude: each vCPU draws anew, for each iteration, how often it is delayed and how
 * long, from some nanoseconds of spinning to a sleep; in some iterations it is not delayed at all, which leaves the
 * others the time. Everything is drawn from the iteration's seed.
 */
import { Random } from '../../rng';

/** Accesses between two delays, on average: powers of two up to this one. */
const RAREST = 6;
/** Rounds of a spin: powers of two up to this one; a round takes some ten nanoseconds. */
const LONGEST_SPIN = 11;
/** In so many of 64 iterations a vCPU's delays are of that kind; the others are spins. */
const QUIET = 10;
const YIELDS = 4;
const SLEEPS = 1;
const YIELD_MS = 0.001;
const LONGEST_SLEEP_US = 300;

type Mood = 'quiet' | 'spin' | 'yield' | 'sleep';

export class Chaos {
  private random = new Random(0);
  private mood: Mood = 'quiet';
  /** Of 2^16 accesses so many are delayed. */
  private often = 0;
  private longest = 0;
  /** This thread alone looks at it, and sleeps on it. */
  private readonly bench = new Int32Array(new SharedArrayBuffer(4));

  /** Draws what the vCPU is in for in this iteration, and delays its start. */
  begin(seed: number, slot: number): void {
    this.random = new Random((seed ^ Math.imul(slot + 1, 0x85ebca6b)) | 0);
    const { random } = this;
    const drawn = random.below(64);
    if (drawn < QUIET) this.mood = 'quiet';
    else if (drawn < QUIET + SLEEPS) this.mood = 'sleep';
    else this.mood = drawn < QUIET + SLEEPS + YIELDS ? 'yield' : 'spin';
    this.often = this.mood === 'quiet' ? 0 : 0x10000 >> random.below(RAREST + 1);
    this.longest = 1 << random.below(LONGEST_SPIN + 1);
    this.spin(random.below(1 << random.below(LONGEST_SPIN + 1)));
  }

  /** No delays until the next {@link begin}. */
  rest(): void {
    this.often = 0;
  }

  /** At an access. */
  delay(): void {
    if (this.often !== 0 && this.random.bits() >>> 16 < this.often) this.doDelay();
  }

  private doDelay(): void {
    const { random, mood } = this;
    if (mood === 'spin') this.spin(random.below(this.longest));
    else Atomics.wait(this.bench, 0, 0, mood === 'yield' ? YIELD_MS : random.below(LONGEST_SLEEP_US) / 1000);
  }

  private spin(rounds: number): void {
    for (let left = rounds; left > 0; left--) Atomics.load(this.bench, 0);
  }
}
