/**
 * The last things each thread of a machine did, with their results: what a failure on free-running threads is reconstructed
 * from, and what a recorded run is shown by.
 *
 * Each thread writes a ring of its own. A record tells the operation, its operands and result, and a tick of a logical
 * clock that all threads share: as in Lamport's, a thread's next tick is above its last one and above the one it
 * finds in the shared word. The word is read and written plainly: a locked operation per access would drain the
 * store buffer and so hide the very races that are looked for. Two threads may therefore take the same tick, and
 * a tick may be off by what happened meanwhile: ticks are a hint at the order, the values read are the evidence.
 *
 * A spin-wait loop would fill any ring. When a turn of such a loop (what lies between two calls of relax()) reads what the
 * turn before has read, it is not kept; the first turn's record of relax() counts.
 */
import { Op } from '../../inline/ops';

/** Words of a record. */
const RECORD_WORDS = 10;
const TICK = 0;
const KIND = 1;
const ADDRESS = 2;
const OPERAND = 3;
const EXPECTED = 4;
const RESULT = 5;
const COUNT = 6;
const REGION = 7;
/** A double: in the timed log only. */
const TIME = 8;

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

/** Records of each vCPU that are kept where nobody says how many. */
export const RING_RECORDS = 1024;
/** Words at the beginning, and words of a ring before its first record. */
const HEADER_WORDS = 32;
// At the beginning: the clock, far from what all threads only read.
const CLOCK = 0;
const KEPT = 30;
const ROWS = 31;
// Of a ring: how many records were made, and bytes of text written.
const MADE = 0;
const TEXT_MADE = 1;
/** Text of a row that is kept, in bytes: a power of two. */
const TEXT_BYTES = 1 << 15;
/** Longer lines are cut. */
const LONGEST_TEXT_BYTES = 1 << 10;

/** Kinds beyond the operations of `inline/ops.ts`. */
export const LogKind = {
  /** The operand is the {@link hypercallNumber} of its name. */
  HYPERCALL: 64,
  HYPERCALL_END: 65,
  UPCALL: 66,
  UPCALL_END: 67,
  /** vcpu.now, vcpu.random: nothing follows from the value. */
  ASIDE: 68,
  /** The vCPU, or device, goes to sleep, and goes on. */
  SLEEP: 69,
  WAKE: 70,
  /** This thread has woken a vCPU: its slot is the operand. */
  WOKEN: 71,
  /** This thread has raised a port (result) of the domain whose vCPU's slot is the operand. */
  RAISED: 72,
  /** This thread has set evtchn_upcall_pending of the vCPU whose slot is the operand. */
  KICKED: 73,
  /** A line of the log or the console: where in the row's text, and how many bytes. */
  TEXT: 74,
  /** The guest has returned. */
  END: 75,
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
  /** What the address is in, see {@link regionOf}. */
  readonly region: number;
  /** System time; 0 where the log is not timed. */
  readonly timeNs: number;
  /** Of a line; null if so much was written since that it is not kept. */
  readonly text?: string | null;
}

/** The log of one thread: its newest records, oldest first. */
export interface ThreadLog {
  /** Of a vCPU: its number among all vCPUs. */
  readonly row: number;
  /** Records before the first one that is kept. */
  readonly missing: number;
  readonly accesses: readonly LoggedAccess[];
}

/** Number of a domain's guest memory, or of what the hypervisor knows about it. @param domain - its position */
export function regionOf(domain: number, isPrivate: boolean): number {
  return domain * 2 + (isPrivate ? 1 : 0);
}

/** The position of the domain that a region is of. */
export function domainOf(region: number): number {
  return region >> 1;
}

/**
 * @param rows - threads that record; the vCPUs of all domains come first
 * @param kept - newest records of each that can be read
 */
export function createAccessLog(rows: number, kept = RING_RECORDS): SharedArrayBuffer {
  const ring = HEADER_WORDS + ringRecords(kept) * RECORD_WORDS;
  const buffer = new SharedArrayBuffer(4 * (HEADER_WORDS + rows * ring) + rows * TEXT_BYTES);
  const words = new Int32Array(buffer);
  words[KEPT] = kept;
  words[ROWS] = rows;
  return buffer;
}

/** Places in a ring: a power of two, so that finding one costs no division. */
function ringRecords(kept: number): number {
  return 1 << (32 - Math.clz32(Math.max(2, kept) - 1));
}

/** Where a row's ring and text lie. */
class Row {
  readonly words: Int32Array;
  /** Word of its header. */
  readonly base: number;
  readonly text: Uint8Array;
  readonly kept: number;
  readonly mask: number;

  constructor(buffer: SharedArrayBuffer, row: number) {
    const words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
    const [kept, rows] = [words[KEPT] as number, words[ROWS] as number];
    const records = ringRecords(kept);
    this.words = words;
    this.kept = kept;
    this.mask = records - 1;
    const ring = HEADER_WORDS + records * RECORD_WORDS;
    this.base = HEADER_WORDS + row * ring;
    this.text = new Uint8Array(buffer, 4 * (HEADER_WORDS + rows * ring) + row * TEXT_BYTES, TEXT_BYTES);
  }

  place(record: number): number {
    return this.base + HEADER_WORDS + (record & this.mask) * RECORD_WORDS;
  }
}

/** The writing side, on the thread that is recorded. */
export class AccessRecorder {
  protected readonly row: Row;
  protected readonly words: Int32Array;
  /** Records made in this iteration. */
  protected made = 0;
  private readonly base: number;
  private tick = 0;
  /** Number of the first record of this turn of a loop, and of the turn before. */
  private turn = 0;
  private turnBefore = 0;

  /** @param home - region of the addresses that are noted without one */
  constructor(
    buffer: SharedArrayBuffer,
    private readonly slot: number,
    private readonly home = 0,
  ) {
    this.row = new Row(buffer, slot);
    this.words = this.row.words;
    this.base = this.row.base;
  }

  /** A new iteration begins. */
  restart(): void {
    this.made = this.turn = this.turnBefore = this.tick = 0;
    this.words[this.base + MADE] = 0;
    if (this.slot === 0) this.words[CLOCK] = 0;
  }

  /** To be called before the access: its place in the order. */
  begin(): void {
    const seen = this.words[CLOCK] as number;
    const tick = (seen > this.tick ? seen : this.tick) + 1;
    this.tick = tick;
    this.words[CLOCK] = tick;
  }

  /** @param kind - Op.* or LogKind.* */
  note(kind: number, address: number, operand: number, expected: number, result: number, region = this.home): void {
    const { words } = this;
    const at = this.row.place(this.made);
    words[at + TICK] = this.tick;
    words[at + KIND] = kind;
    words[at + ADDRESS] = address;
    words[at + OPERAND] = operand;
    words[at + EXPECTED] = expected;
    words[at + RESULT] = result;
    words[at + COUNT] = 1;
    words[at + REGION] = region;
    this.made++;
    words[this.base + MADE] = this.made;
  }

  /** Something that is no access happens. */
  mark(kind: number, operand = 0, result = 0): void {
    this.begin();
    this.note(kind, 0, operand, 0, result);
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
      const relaxAt = this.row.place(this.turn - 1);
      this.words[relaxAt + COUNT] = (this.words[relaxAt + COUNT] as number) + 1;
      this.made = this.turn;
      this.words[this.base + MADE] = this.made;
      return;
    }
    this.mark(Op.RELAX);
    this.turnBefore = this.turn;
    this.turn = this.made;
  }

  private turnRepeats(length: number): boolean {
    const { words, row } = this;
    for (let i = 0; i < length; i++) {
      const now = row.place(this.turn + i);
      const before = row.place(this.turnBefore + i);
      if (!READS_ONLY.includes(words[now + KIND] as number)) return false;
      for (let word = KIND; word < COUNT; word++) if (words[now + word] !== words[before + word]) return false;
    }
    return true;
  }
}

/** Beside the order the time of each record, at the cost of a look at the clock. For runs, which are told in times. */
export class TimedRecorder extends AccessRecorder {
  private readonly times: Float64Array;
  private readonly encoder = new TextEncoder();
  private timeNs = 0;
  private textMade = 0;
  private muted = false;

  /** @param now - system time in ns */
  constructor(
    buffer: SharedArrayBuffer,
    slot: number,
    private readonly now: () => number,
    home?: number,
  ) {
    super(buffer, slot, home);
    this.times = new Float64Array(buffer, 0, buffer.byteLength >> 3);
  }

  override begin(): void {
    super.begin();
    this.timeNs = this.now();
  }

  override note(
    kind: number,
    address: number,
    operand: number,
    expected: number,
    result: number,
    region?: number,
  ): void {
    if (this.muted) return;
    const at = this.row.place(this.made);
    super.note(kind, address, operand, expected, result, region);
    this.times[(at + TIME) >> 1] = this.timeNs;
  }

  /** A line of the log or the console. */
  line(text: string): void {
    const bytes = this.encoder.encode(text).subarray(0, LONGEST_TEXT_BYTES);
    const start = this.textMade;
    for (let i = 0; i < bytes.length; i++) this.row.text[(start + i) & (TEXT_BYTES - 1)] = bytes[i] as number;
    this.textMade = start + bytes.length;
    this.words[this.row.base + TEXT_MADE] = this.textMade;
    this.mark(LogKind.TEXT, start, bytes.length);
  }

  /** What the engine itself does to the machine is no part of the run. */
  unrecorded(work: () => void): void {
    this.muted = true;
    work();
    this.muted = false;
  }
}

/** Reads the logs of all rows, on which nothing runs. */
export function readAccessLogs(buffer: SharedArrayBuffer): ThreadLog[] {
  const rows = new Int32Array(buffer, 0, HEADER_WORDS)[ROWS] as number;
  return Array.from({ length: rows }, (_, row) => readLog(buffer, row));
}

function readLog(buffer: SharedArrayBuffer, number: number): ThreadLog {
  const row = new Row(buffer, number);
  const times = new Float64Array(buffer, 0, buffer.byteLength >> 3);
  const { words } = row;
  const made = words[row.base + MADE] as number;
  const missing = Math.max(0, made - row.kept);
  const accesses = Array.from({ length: made - missing }, (_, i): LoggedAccess => {
    const at = row.place(missing + i);
    const word = (offset: number): number => words[at + offset] as number;
    return {
      tick: word(TICK),
      kind: word(KIND),
      address: word(ADDRESS),
      operand: word(OPERAND),
      expected: word(EXPECTED),
      result: word(RESULT),
      count: word(COUNT),
      region: word(REGION),
      timeNs: times[(at + TIME) >> 1] as number,
      ...(word(KIND) === LogKind.TEXT ? { text: readText(row, word(OPERAND), word(RESULT)) } : {}),
    };
  });
  return { row: number, missing, accesses };
}

function readText(row: Row, start: number, length: number): string | null {
  if ((row.words[row.base + TEXT_MADE] as number) - start > TEXT_BYTES) return null;
  const bytes = Uint8Array.from({ length }, (_, i) => row.text[(start + i) & (TEXT_BYTES - 1)] as number);
  return new TextDecoder().decode(bytes);
}
