/**
 * Console and log lines, and the first causes of failures, on their way from all threads of a run to the host, in one order: a byte ring in shared
 * memory, many writers, the main thread as its reader. A writer that finds it full waits for the reader, so a
 * guest that prints without end is slowed down and costs no memory.
 *
 * A record is a header of four words (length in bytes, kind, domain, vCPU) and the text, padded to a word; a record
 * may wrap round the end. HEAD and TAIL count bytes written and read, modulo 2^32.
 *
 * Ordering: writers hold LOCK while they copy a record and publish HEAD after it; the reader takes what lies below
 * HEAD and publishes TAIL afterwards. NEWS tells whether the reader has been poked since it last looked: the
 * reader clears it before it reads HEAD, a writer sets it after it published HEAD, so a record is either seen by
 * that look or its writer pokes again. (The reader looks from time to time anyway.)
 */

const LOCK = 0;
const HEAD = 1;
const TAIL = 2;
const NEWS = 3;
const CONTROL_BYTES = 64;
const HEADER_BYTES = 16;
const RING_BYTES = 1 << 16;
/** Longer lines go in pieces. */
const MAX_TEXT_BYTES = 1 << 13;
/** How long to sleep between looks at a lock or a full ring (ms): both change soon, and not always with a notify. */
const PATIENCE_MS = 5;

// States of LOCK.
const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

export const RecordKind = {
  /** Text of any length written to the console. */
  CONSOLE: 0,
  /** A line of vcpu.log or device.log. */
  LOG: 1,
  /** Bytes that the console daemon passes on, of the domain the record names. */
  PV_CONSOLE: 3,
  /** Why a guest ended its domain: JSON of a {@link GuestFailure}. */
  FAILURE: 2,
} as const;

/** Called for each record with borrowed text: decode it before the next one. */
export type RecordHandler = (kind: number, domain: number, vcpu: number, text: Uint8Array) => void;

export function createOutputRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_BYTES + RING_BYTES);
}

export class OutputRing {
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly header = new Int32Array(HEADER_BYTES / 4);
  private readonly headerBytes = new Uint8Array(this.header.buffer);

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer, 0, CONTROL_BYTES / 4);
    this.bytes = new Uint8Array(buffer, CONTROL_BYTES);
  }

  /**
   * Appends a line.
   * @param poke - called when the reader has to be told
   * @param giveUp - asked while the ring is full; true drops the rest of the line
   */
  write(kind: number, domain: number, vcpu: number, text: Uint8Array, poke: () => void, giveUp: () => boolean): void {
    let start = 0;
    do {
      const piece = text.subarray(start, start + MAX_TEXT_BYTES);
      if (!this.writeRecord(kind, domain, vcpu, piece, poke, giveUp)) return;
      start += piece.length;
    } while (start < text.length);
  }

  /** Main thread: hands over all records there are. */
  drain(handle: RecordHandler): void {
    Atomics.store(this.words, NEWS, 0);
    const head = Atomics.load(this.words, HEAD);
    let tail = Atomics.load(this.words, TAIL);
    while (tail !== head) {
      this.copyOut(tail, this.headerBytes);
      const [length, kind, domain, vcpu] = this.header as unknown as [number, number, number, number];
      const text = new Uint8Array(length);
      this.copyOut((tail + HEADER_BYTES) | 0, text);
      tail = (tail + recordBytes(length)) | 0;
      Atomics.store(this.words, TAIL, tail);
      Atomics.notify(this.words, TAIL);
      handle(kind, domain, vcpu, text);
    }
  }

  private writeRecord(
    kind: number,
    domain: number,
    vcpu: number,
    text: Uint8Array,
    poke: () => void,
    giveUp: () => boolean,
  ): boolean {
    const need = recordBytes(text.length);
    this.lock();
    for (;;) {
      const head = Atomics.load(this.words, HEAD);
      const tail = Atomics.load(this.words, TAIL);
      if (RING_BYTES - ((head - tail) >>> 0) >= need) {
        this.header[0] = text.length;
        this.header[1] = kind;
        this.header[2] = domain;
        this.header[3] = vcpu;
        this.copyIn(head, this.headerBytes);
        this.copyIn((head + HEADER_BYTES) | 0, text);
        Atomics.store(this.words, HEAD, (head + need) | 0);
        this.unlock();
        if (Atomics.exchange(this.words, NEWS, 1) === 0) poke();
        return true;
      }
      this.unlock();
      poke();
      Atomics.wait(this.words, TAIL, tail, PATIENCE_MS);
      if (giveUp()) return false;
      this.lock();
    }
  }

  private copyIn(position: number, source: Uint8Array): void {
    const start = position & (RING_BYTES - 1);
    const untilEnd = Math.min(source.length, RING_BYTES - start);
    this.bytes.set(source.subarray(0, untilEnd), start);
    this.bytes.set(source.subarray(untilEnd), 0);
  }

  private copyOut(position: number, target: Uint8Array): void {
    const start = position & (RING_BYTES - 1);
    const untilEnd = Math.min(target.length, RING_BYTES - start);
    target.set(this.bytes.subarray(start, start + untilEnd));
    target.set(this.bytes.subarray(0, target.length - untilEnd), untilEnd);
  }

  /** A sleeper's notify may be lost to a thread that was ended while it held the lock, hence the limit. */
  private lock(): void {
    if (Atomics.compareExchange(this.words, LOCK, FREE, HELD) === FREE) return;
    while (Atomics.exchange(this.words, LOCK, CONTENDED) !== FREE)
      Atomics.wait(this.words, LOCK, CONTENDED, PATIENCE_MS);
  }

  private unlock(): void {
    if (Atomics.exchange(this.words, LOCK, FREE) === CONTENDED) Atomics.notify(this.words, LOCK, 1);
  }
}

function recordBytes(textBytes: number): number {
  return HEADER_BYTES + ((textBytes + 3) & ~3);
}
