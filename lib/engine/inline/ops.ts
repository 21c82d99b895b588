/**
 * The vocabulary of the inline engine: one number per kind of step, and the footprint of a step, by which
 * exploration decides whether two steps may be swapped.
 *
 * A step's tag packs its kind and its address: `address << 6 | kind`. Addresses are those of the engine's one
 * address space (region base + address in the region), below {@link MAX_BYTES}.
 */

/** Bytes of the engine's address space: what a tag can hold beside the kind. */
export const MAX_BYTES = 1 << 25;

/** Low bytes of the address space that belong to the engine: clock, timer, sleepers' words. */
export const ENGINE_BYTES = 4096;
/** Word with the clock's value (an interned number, see {@link NumberTable}). */
export const CLOCK_ADDRESS = 4;
/** Word with the armed deadline (interned; 0 = none). */
export const DEADLINE_ADDRESS = 8;
/** Word counted up whenever time passes because nothing but spinning is left. */
export const TICK_ADDRESS = 12;
/** First of one word per actor: where the actor sleeps in wait32 (address + 1), {@link NOTIFIED}, or 0. */
export const SLEEPER_ADDRESS = 1024;
export const NOTIFIED = -1;

export const Op = {
  /** Nothing known yet. */
  NONE: 0,
  READ8: 1,
  READ32: 2,
  WRITE8: 3,
  WRITE32: 4,
  LOAD8: 5,
  STORE8: 6,
  ADD8: 7,
  AND8: 8,
  OR8: 9,
  XOR8: 10,
  EXCHANGE8: 11,
  CAS8: 12,
  LOAD32: 13,
  STORE32: 14,
  ADD32: 15,
  AND32: 16,
  OR32: 17,
  XOR32: 18,
  EXCHANGE32: 19,
  CAS32: 20,
  FENCE: 21,
  READ_LOCK: 22,
  READ_TRYLOCK: 23,
  READ_UNLOCK: 24,
  WRITE_LOCK: 25,
  WRITE_UNLOCK: 26,
  /** Waits until the bits of the operand are clear in the word. */
  AWAIT_CLEAR: 27,
  /** Waits until a word read since the last RELAX has changed. */
  RELAX: 28,
  /** wait32: looks, and goes to sleep (result 0) or finds another value (result 1). */
  WAIT: 29,
  /** The other half of wait32: waits to be notified (result 0), or times out (result 1) if the operand allows it. */
  WAIT_END: 30,
  NOTIFY: 31,
  /** A nondeterministic choice below the operand. */
  CHOOSE: 32,
  /** An upcall window: 1 when the byte at the address is set and the byte after it is clear. */
  WINDOW: 33,
  NOW: 34,
  /** Arms the timer for the operand (interned; 0 stops it). */
  TIMER_SET: 35,
  /** Waits until the timer is armed, lets time pass until then, and disarms it. */
  TIMER_WAIT: 36,
  /** Lets as much time pass as the operand says (interned). */
  SLEEP: 37,
  FLUSH8: 38,
  FLUSH32: 39,
  /** The actor has returned; the operand names the value. */
  END: 40,
  /** The actor has thrown; the operand names the error. */
  CRASH: 41,
  /** Time passes: lets the actors that spin go on. Executed by an actor of its own when nobody else can go on. */
  TICK: 42,
  /** Never goes on. */
  PARK: 43,
  /** The actor enters the hypervisor, the whole visit being one step: made only where hypercalls are atomic. */
  ENTER: 44,
  /** The end of such a visit. */
  LEAVE: 45,
} as const;

export const KIND_BITS = 6;
export const KIND_MASK = 63;

const names: string[] = [];
for (const [name, kind] of Object.entries(Op)) names[kind] = name.toLowerCase();

/** Whether an operation does nothing but begin or end an atomic hypercall. */
export function isBracket(kind: number): boolean {
  return kind === Op.ENTER || kind === Op.LEAVE;
}

/** What a plain access of the hypervisor's has for an expected value while data races are looked for. */
export const BY_HYPERVISOR = 1;

/** `add32`, `read_lock`, …: for messages and traces. */
export function opName(kind: number): string {
  return names[kind] ?? `op${kind}`;
}

/** `add32 at 0x3000`: a tag, for messages. */
export function describeOp(tag: number): string {
  const address = tag >>> KIND_BITS;
  const kind = opName(tag & KIND_MASK);
  return address === 0 ? kind : `${kind} at 0x${Math.max(0, address - ENGINE_BYTES).toString(16)}`;
}

// Footprints: `word index << 8 | bytes touched << 4 | class`. Zero conflicts with nothing.
/** The step reads. */
export const READS = 1;
/** The step changes a lock in a way that commutes with its like: shared acquisition, its attempt, its release. */
export const SHARES = 2;
/** The step writes. */
export const WRITES = 4;
/** The footprint is an index into the engine's table of footprint lists instead. */
export const MANY = 8;
/** Depends on every other step. */
export const EVERYTHING = MANY;

// Properties of the kinds, as tables: the engine asks at every step.

/** {@link READS}, {@link SHARES} or {@link WRITES}; 0 for steps that touch no shared word. */
export const ACCESS = new Uint8Array(KIND_MASK + 1);
/** 1 for steps that touch one byte; the others touch four. */
export const NARROW = new Uint8Array(KIND_MASK + 1);
/** 1 for steps that can find themselves unable to go on. */
export const GUARDED = new Uint8Array(KIND_MASK + 1);
/** 1 for steps that wait, under TSO, until the actor's store buffer is empty. */
export const DRAINS = new Uint8Array(KIND_MASK + 1);
/** 1 for steps whose footprint depends on what they find: a compare-exchange that fails only reads. */
export const CONDITIONAL = new Uint8Array(KIND_MASK + 1);
/** 1 for steps whose result tells something about the word at their address. */
export const LOOKS = new Uint8Array(KIND_MASK + 1);

const READING = [Op.READ8, Op.READ32, Op.LOAD8, Op.LOAD32, Op.AWAIT_CLEAR, Op.WINDOW, Op.NOW];
for (const kind of READING) ACCESS[kind] = READS;
for (const kind of [Op.READ_LOCK, Op.READ_TRYLOCK, Op.READ_UNLOCK]) ACCESS[kind] = SHARES;
for (let kind: number = Op.STORE8; kind <= Op.CAS32; kind++) if (kind !== Op.LOAD32) ACCESS[kind] = WRITES;
const WRITING = [Op.WRITE8, Op.WRITE32, Op.WRITE_LOCK, Op.WRITE_UNLOCK, Op.FLUSH8, Op.FLUSH32, Op.TIMER_SET, Op.SLEEP];
for (const kind of [...WRITING, Op.WAIT, Op.WAIT_END, Op.NOTIFY]) ACCESS[kind] = WRITES;
for (const kind of [Op.READ8, Op.WRITE8, Op.FLUSH8]) NARROW[kind] = 1;
for (let kind: number = Op.LOAD8; kind <= Op.CAS8; kind++) NARROW[kind] = 1;
const WAITING = [Op.READ_LOCK, Op.WRITE_LOCK, Op.AWAIT_CLEAR, Op.RELAX, Op.WAIT_END, Op.TIMER_WAIT, Op.PARK];
for (const kind of WAITING) GUARDED[kind] = 1;
for (let kind: number = Op.LOAD8; kind <= Op.AWAIT_CLEAR; kind++) DRAINS[kind] = 1;
for (const kind of [Op.WAIT, Op.NOTIFY, Op.TIMER_SET, Op.ENTER]) DRAINS[kind] = 1;
for (const kind of [Op.LOAD8, Op.LOAD32]) DRAINS[kind] = 0;
for (const kind of [Op.CAS8, Op.CAS32, Op.WAIT, Op.WINDOW]) CONDITIONAL[kind] = 1;
for (let kind: number = Op.READ8; kind <= Op.CAS32; kind++) LOOKS[kind] = 1;
for (const kind of [Op.WRITE8, Op.WRITE32, Op.STORE8, Op.STORE32]) LOOKS[kind] = 0;
for (const kind of [Op.WINDOW, Op.NOW]) LOOKS[kind] = 1;

/** The footprint of an access to four bytes. */
export function wordFoot(address: number, access: number): number {
  return ((address >> 2) << 8) | 0xf0 | access;
}

/** The footprint of an access to one byte. */
export function byteFoot(address: number, access: number): number {
  return ((address >> 2) << 8) | (1 << (4 + (address & 3))) | access;
}

/** The footprints of steps that touch more than one word, each list kept once. */
export class FootLists {
  private readonly lists: number[][] = [[]];
  private readonly ids = new Map<string, number>();

  /** A footprint that stands for all of `feet`. */
  intern(feet: readonly number[]): number {
    if (feet.length === 0) return 0;
    if (feet.length === 1) return feet[0] as number;
    const key = feet.join();
    let id = this.ids.get(key);
    if (id === undefined) {
      id = this.lists.length;
      this.lists.push([...feet]);
      this.ids.set(key, id);
    }
    return (id << 8) | MANY;
  }

  /** The footprints behind one that has {@link MANY} set. */
  of(foot: number): readonly number[] {
    return this.lists[foot >>> 8] as number[];
  }

  /** Whether a step with this footprint leaves every word and lock as it is. */
  onlyReads(foot: number): boolean {
    if (foot === EVERYTHING) return false;
    return (foot & MANY) === 0 ? (foot & 7) === READS : this.of(foot).every((one) => (one & 7) === READS);
  }

  /** Whether two steps with these footprints may not be swapped. */
  dependent(a: number, b: number): boolean {
    if (((a | b) & MANY) !== 0) return this.dependentMany(a, b);
    return ((a ^ b) & ~0xff) === 0 && (a & b & 0xf0) !== 0 && ((a | b) & 7) > SHARES;
  }

  private dependentMany(a: number, b: number): boolean {
    if (a === EVERYTHING || b === EVERYTHING) return true;
    if ((a & MANY) === 0) return this.dependentMany(b, a);
    for (const foot of this.of(a)) if (this.dependent(foot, b)) return true;
    return false;
  }
}

/** Numbers that do not fit a word (times), each given a small integer of its own. 0 stands for 0. */
export class NumberTable {
  private readonly values: number[] = [0];
  private readonly ids = new Map<number, number>([[0, 0]]);

  intern(value: number): number {
    let id = this.ids.get(value);
    if (id === undefined) {
      id = this.values.length;
      this.values.push(value);
      this.ids.set(value, id);
    }
    return id;
  }

  value(id: number): number {
    return this.values[id] as number;
  }
}
