/**
 * The last accesses of each vCPU with their results: what a failure on free-running threads is reconstructed from.
 *
 * Each vCPU writes a ring of its own. A record tells the operation, its operands and result, and a tick of a logical
 * clock that all vCPUs share: as in Lamport's, a vCPU's next tick is above its last one and above the one it
 * finds in the shared word. The word is read and written plainly: a locked operation per access would drain the
 * store buffer and so hide the very races that are looked for. Two vCPUs may therefore take the same tick, and
 * a tick may be off by what happened meanwhile: ticks are a hint at the order, the values read are the evidence.
 *
 * A spin-wait loop would fill any ring. When a turn of such a loop (what lies between two calls of relax()) reads what the
 * turn before has read, it is not kept; the first turn's record of relax() counts.
 */
import { Op } from '../../inline/ops';

/** Words of a record. */
export const RECORD_WORDS = 8;
const TICK = 0;
const KIND = 1;
const ADDRESS = 2;
const OPERAND = 3;
const EXPECTED = 4;
const RESULT = 5;
const COUNT = 6;

const numbers = new Map<string, number>();

/** A number for the name of a hypercall, the same on every thread (FNV-1a). */
export function hypercallNumber(name: string): number {
  let number = numbers.get(name);
  if (number === undefined) {
    number = 0x811c9dc5 | 0;
    for (let i = 0; i < name.length; i++) number = Math.imul(number ^ name.charCodeAt(i), 0x01000193);
    numbers.set(name, number);
  }
  return number;
}

/** Records of each vCPU that are kept. */
export const RING_RECORDS = 1024;
/** Words before the first record: how many were made in this iteration. */
const HEADER_WORDS = 32;
const RING_WORDS = HEADER_WORDS + RING_RECORDS * RECORD_WORDS;

/** Kinds beyond the operations of `inline/ops.ts`. */
export const LogKind = {
  /** The operand is the {@link hypercallNumber} of its name. */
  HYPERCALL: 64,
  HYPERCALL_END: 65,
  UPCALL: 66,
  UPCALL_END: 67,
  /** vcpu.now, vcpu.random: nothing follows from the value. */
  ASIDE: 68,
} as const;

/** Longest turn of a spin-wait loop that is recognised. */
const LONGEST_TURN = 16;

/** The operations that change nothing. */
const READS_ONLY: readonly number[] = [Op.READ8, Op.READ32, Op.LOAD8, Op.LOAD32, Op.FENCE];

/** A record, read back. */
export interface LoggedAccess {
  readonly tick: number;
  /** Op.* or LogKind.* */
  readonly kind: number;
  readonly address: number;
  readonly operand: number;
  readonly expected: number;
  readonly result: number;
  /** Turns of a spin-wait loop that a record of relax() stands for; else 1. */
  readonly count: number;
}

/** The log of one vCPU: its newest records, oldest first. */
export interface VcpuLog {
  readonly vcpu: number;
  /** Records before the first one that is kept. */
  readonly missing: number;
  readonly accesses: readonly LoggedAccess[];
}

/** @param vcpus - of all domains. The first words are the clock. */
export function createAccessLog(vcpus: number): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * (HEADER_WORDS + vcpus * RING_WORDS));
}

/** The writing side, on the vCPU's own thread. */
export class AccessRecorder {
  private readonly words: Int32Array;
  private readonly base: number;
  /** Records made in this iteration. */
  private made = 0;
  private tick = 0;
  /** Number of the first record of this turn of a loop, and of the turn before. */
  private turn = 0;
  private turnBefore = 0;

  constructor(
    buffer: SharedArrayBuffer,
    private readonly slot: number,
  ) {
    this.words = new Int32Array(buffer);
    this.base = HEADER_WORDS + slot * RING_WORDS;
  }

  /** A new iteration begins. */
  restart(): void {
    this.made = this.turn = this.turnBefore = this.tick = 0;
    this.words[this.base] = 0;
    if (this.slot === 0) this.words[0] = 0;
  }

  /** To be called before the access: its place in the order. */
  begin(): void {
    const seen = this.words[0] as number;
    const tick = (seen > this.tick ? seen : this.tick) + 1;
    this.tick = tick;
    this.words[0] = tick;
  }

  /** @param kind - Op.* or LogKind.* */
  note(kind: number, address: number, operand: number, expected: number, result: number): void {
    const { words } = this;
    const at = this.place(this.made);
    words[at + TICK] = this.tick;
    words[at + KIND] = kind;
    words[at + ADDRESS] = address;
    words[at + OPERAND] = operand;
    words[at + EXPECTED] = expected;
    words[at + RESULT] = result;
    words[at + COUNT] = 1;
    this.made++;
    words[this.base] = this.made;
  }

  /** The vCPU spins: a turn that was like the one before is forgotten. */
  relax(): void {
    const length = this.made - this.turn;
    if (
      length > 0 &&
      length <= LONGEST_TURN &&
      this.turn - this.turnBefore === length + 1 &&
      this.turnRepeats(length)
    ) {
      const relaxAt = this.place(this.turn - 1);
      this.words[relaxAt + COUNT] = (this.words[relaxAt + COUNT] as number) + 1;
      this.made = this.turn;
      this.words[this.base] = this.made;
      return;
    }
    this.begin();
    this.note(Op.RELAX, 0, 0, 0, 0);
    this.turnBefore = this.turn;
    this.turn = this.made;
  }

  private turnRepeats(length: number): boolean {
    const { words } = this;
    for (let i = 0; i < length; i++) {
      const now = this.place(this.turn + i);
      const before = this.place(this.turnBefore + i);
      if (!READS_ONLY.includes(words[now + KIND] as number)) return false;
      for (let word = KIND; word < COUNT; word++) if (words[now + word] !== words[before + word]) return false;
    }
    return true;
  }

  private place(record: number): number {
    return this.base + HEADER_WORDS + (record % RING_RECORDS) * RECORD_WORDS;
  }
}

/** Reads the logs of all vCPUs, none of which runs. */
export function readAccessLogs(buffer: SharedArrayBuffer): VcpuLog[] {
  const words = new Int32Array(buffer);
  const vcpus = Math.floor((words.length - HEADER_WORDS) / RING_WORDS);
  return Array.from({ length: vcpus }, (_, vcpu) => readLog(words, vcpu));
}

function readLog(words: Int32Array, vcpu: number): VcpuLog {
  const base = HEADER_WORDS + vcpu * RING_WORDS;
  const made = words[base] as number;
  const missing = Math.max(0, made - RING_RECORDS);
  const accesses = Array.from({ length: made - missing }, (_, i): LoggedAccess => {
    const at = base + HEADER_WORDS + ((missing + i) % RING_RECORDS) * RECORD_WORDS;
    const word = (offset: number): number => words[at + offset] as number;
    return {
      tick: word(TICK),
      kind: word(KIND),
      address: word(ADDRESS),
      operand: word(OPERAND),
      expected: word(EXPECTED),
      result: word(RESULT),
      count: word(COUNT),
    };
  });
  return { vcpu, missing, accesses };
}
