/**
 * Chaos: what is done to a vCPU on a free-running thread so that narrow windows between two of its accesses open.
 *
 * A window opens only if the right vCPU stands still at the right place for as long as it takes the others to go through it.
 * Nobody knows which, where and how long, and what opens one window shuts another. So each iteration is of one of five kinds,
 * drawn from its seed, the same on all threads:
 *
 * - *quiet*: nothing is done, so that no race shows much later than it does without chaos;
 * - *lingering*: plain stores are made to stay in the processor's store buffer. Stores leave it in order, so stores to cache
 *   lines that nobody has at hand, made just before, keep it there until these are fetched. Later loads do not wait for it: that
 *   is the one reordering of x86, for which there is next to no time otherwise;
 * - *held*: one vCPU is held at one access until the others are through, or for a time; all else runs at full speed. After
 *   probabilistic concurrency testing (Burckhardt et al., 2010), which changes priorities at d - 1 places of an execution: a
 *   race that needs one preemption needs one place;
 * - *held twice*: at two places, of one vCPU or of two;
 * - *rough*: each vCPU draws for itself how often it is delayed and for how long, from some nanoseconds of spinning to a sleep.
 *
 All but the quiet ones begin with a spin, and where every thread has a core the vCPUs begin together.
 */
import { Random } from '../../rng';

type Kind = 'quiet' | 'lingering' | 'held' | 'held twice' | 'rough';

/** Of 16 iterations so many are of the kind. */
const SHARES: Readonly<Record<Kind, number>> = { quiet: 2, lingering: 3, held: 5, 'held twice': 2, rough: 4 };
const KINDS = Object.entries(SHARES).flatMap(([kind, share]) => new Array<Kind>(share).fill(kind as Kind));
/** Keeps what all threads draw apart from what each draws for itself. */
const TOGETHER = 0x27d4eb2f;

/** Rounds of a spin that holds a vCPU: powers of two between these. A round takes some nanoseconds. */
const SHORTEST_HOLD = 7;
const LONGEST_HOLD = 15;
/** Rounds between two looks whether the others are through. */
const LOOK_ROUNDS = 64;
/** A held vCPU sleeps, so that the others can have its core: of 8 times so often where every thread has a core, and where not. */
const SLEEPS_ALONE = 1;
const SLEEPS_SHARED = 4;
const LONGEST_HOLD_MS = 0.5;
/** Places are drawn from so many accesses at least. */
const FEWEST_PLACES = 2;

/** Longest turn of a spin-wait loop that is taken for one. */
const LONGEST_TURN = 16;

/** Rough: accesses between two delays, on average: powers of two up to this one. */
const RAREST = 6;
/** Rounds of a spin: powers of two up to this one. */
const LONGEST_SPIN = 11;
/** In so many of 64 iterations a vCPU's delays are of that kind; the others are spins. */
const YIELDS = 4;
const SLEEPS = 1;
const YIELD_MS = 0.001;
const LONGEST_SLEEP_US = 300;

/** Bytes of {@link createColdMemory}: more than the caches next to a core hold. */
const COLD_BYTES = 1 << 25;
/** Stores before a plain store: powers of two up to this one. The store buffer has room for some fifty. */
const MOST_COLD_STORES = 5;
/** Longest spin at the start of a lingering iteration, a power of two: the vCPUs have to come to the place together. */
const LINGERING_SPIN = 9;

/** Memory for stores that take long, shared by all threads of a session; its content means nothing. */
export function createColdMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(COLD_BYTES);
}

/** What a vCPU's chaos knows of the session. */
export interface ChaosSetting {
  /** Of the vCPU among all vCPUs. */
  readonly slot: number;
  readonly vcpus: number;
  /** There is a core for each thread. */
  readonly alone: boolean;
  readonly cold: SharedArrayBuffer;
  /** Returns when all vCPUs are about to begin, or some do not come. */
  readonly meet: () => void;
  /** Whether all other vCPUs are through with the iteration. */
  readonly othersThrough: () => boolean;
}

type Mood = 'spin' | 'yield' | 'sleep';

export class Chaos {
  private random = new Random(0);
  private mood: Mood = 'spin';
  /** Of 2^16 accesses so many are delayed. */
  private often = 0;
  private longest = 0;
  /** Accesses of this iteration so far, those of repeated turns of a spin-wait loop left out. */
  private place = 0;
  private turn = 0;
  /** Of recent iterations at most. */
  private places = FEWEST_PLACES;
  /** Where the vCPU is held; -1: nowhere. */
  private readonly holds = new Int32Array(2);
  private holdRounds = 0;
  private holdSleeps = false;
  private coldStores = 0;
  private readonly cold: Int32Array;
  /** This thread alone looks at it, and sleeps on it. */
  private readonly bench = new Int32Array(new SharedArrayBuffer(4));

  constructor(private readonly setting: ChaosSetting) {
    this.cold = new Int32Array(setting.cold);
    this.holds.fill(-1);
  }

  /** Draws what the vCPU is in for in this iteration, and delays its start. */
  begin(seed: number): void {
    const { slot } = this.setting;
    const together = new Random(seed ^ TOGETHER);
    this.random = new Random((seed ^ Math.imul(slot + 1, 0x85ebca6b)) | 0);
    const kind = KINDS[together.below(KINDS.length)];
    this.place = this.turn = 0;
    if (kind === 'lingering') this.coldStores = 1 << together.below(MOST_COLD_STORES + 1);
    else if (kind === 'held') this.drawHolds(together, 1);
    else if (kind === 'held twice') this.drawHolds(together, 2);
    else if (kind === 'rough') this.beRough();
    if (this.setting.alone) this.setting.meet();
    if (kind === 'quiet') return;
    const longest = kind === 'lingering' ? LINGERING_SPIN : LONGEST_SPIN;
    this.spin(this.random.below(1 << this.random.below(longest + 1)));
  }

  /** Nothing more is done until the next {@link begin}. */
  rest(): void {
    this.often = 0;
    this.coldStores = 0;
    this.holds.fill(-1);
    // Forgets a long iteration by and by.
    this.places = Math.max(this.place, this.places - (this.places >> 3), FEWEST_PLACES);
  }

  /** At an access. */
  delay(): void {
    const { holds } = this;
    const place = this.place++;
    if (place === holds[0]) this.hold(0);
    else if (place === holds[1]) this.hold(1);
    else if (this.often !== 0 && this.random.bits() >>> 16 < this.often) this.doDelay();
  }

  /** The guest begins another turn of a spin-wait loop. */
  relax(): void {
    if (this.place - this.turn > LONGEST_TURN) this.turn = this.place;
    else this.place = this.turn;
  }

  /** Before a plain store. */
  linger(): void {
    const { cold, random } = this;
    for (let left = this.coldStores; left > 0; left--) cold[random.bits() & (COLD_BYTES / 4 - 1)] = left;
  }

  private beRough(): void {
    const { random } = this;
    const drawn = random.below(64);
    this.mood = drawn < SLEEPS ? 'sleep' : drawn < SLEEPS + YIELDS ? 'yield' : 'spin';
    this.often = 0x10000 >> random.below(RAREST + 1);
    this.longest = 1 << random.below(LONGEST_SPIN + 1);
  }

  private drawHolds(together: Random, count: number): void {
    const { alone, slot, vcpus } = this.setting;
    this.holdRounds = 1 << (SHORTEST_HOLD + together.below(LONGEST_HOLD - SHORTEST_HOLD + 1));
    this.holdSleeps = together.below(8) < (alone ? SLEEPS_ALONE : SLEEPS_SHARED);
    for (let i = 0; i < count; i++) {
      const vcpu = together.below(vcpus);
      const place = Math.floor(together.fraction() * this.places);
      if (vcpu === slot) this.holds[i] = place;
    }
  }

  /** Once: the turns of a spin-wait loop come to the same place. */
  private hold(which: 0 | 1): void {
    this.holds[which] = -1;
    if (this.holdSleeps) {
      Atomics.wait(this.bench, 0, 0, this.random.fraction() * LONGEST_HOLD_MS);
      return;
    }
    const { othersThrough } = this.setting;
    for (let left = this.holdRounds; left > 0 && !othersThrough(); left -= LOOK_ROUNDS) this.spin(LOOK_ROUNDS);
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
