/**
 * One object per field of a structure in shared memory: made once with the view it belongs to, immutable, and
 * allocation-free in use.
 *
 * `read` and `write` are plain accesses, all others are atomic; see {@link Memory} for what either promises. Values are
 * as in Memory: 32-bit words signed, bytes 0..255.
 */
import type { Memory } from './memory';

/** A byte: uint8 or char. */
export class ByteField {
  constructor(
    protected readonly memory: Memory,
    readonly address: number,
  ) {}

  read(): number {
    return this.memory.read8(this.address);
  }

  write(value: number): void {
    this.memory.write8(this.address, value);
  }

  load(): number {
    return this.memory.load8(this.address);
  }

  store(value: number): void {
    this.memory.store8(this.address, value);
  }

  add(value: number): number {
    return this.memory.add8(this.address, value);
  }

  and(value: number): number {
    return this.memory.and8(this.address, value);
  }

  or(value: number): number {
    return this.memory.or8(this.address, value);
  }

  xor(value: number): number {
    return this.memory.xor8(this.address, value);
  }

  exchange(value: number): number {
    return this.memory.exchange8(this.address, value);
  }

  compareExchange(expected: number, replacement: number): number {
    return this.memory.compareExchange8(this.address, expected, replacement);
  }
}

/** A signed byte. Plain accesses only: the one there is, tsc_shift, is guarded by a version. */
export class SignedByteField {
  constructor(
    private readonly memory: Memory,
    readonly address: number,
  ) {}

  /** -128..127 */
  read(): number {
    return (this.memory.read8(this.address) << 24) >> 24;
  }

  write(value: number): void {
    this.memory.write8(this.address, value);
  }
}

/** A 16-bit field at an even address. */
export class HalfField {
  private readonly wordAddress: number;
  private readonly shift: number;

  constructor(
    private readonly memory: Memory,
    readonly address: number,
  ) {
    this.wordAddress = address & ~3;
    this.shift = (address & 2) * 8;
  }

  /** One access: reads the 32-bit word around it. */
  read(): number {
    return (this.memory.read32(this.wordAddress) >>> this.shift) & 0xffff;
  }

  load(): number {
    return (this.memory.load32(this.wordAddress) >>> this.shift) & 0xffff;
  }

  /** Two byte accesses, so that whoever writes the neighbouring field is not disturbed. Not atomic. */
  write(value: number): void {
    this.memory.write8(this.address, value);
    this.memory.write8(this.address + 1, value >>> 8);
  }
}

/**
 * An integer of one or two 32-bit words: what {@link Word32} and {@link Word64} share, and all there is to a field
 * whose width depends on the ABI (xen_ulong, a frame number, a pointer).
 */
export interface LongField {
  readonly address: number;
  /** 1 or 2. */
  readonly wordCount: number;
  /** Bits 31..0. */
  readonly lo: Word32;
  /** Bits 63..32; undefined if the field has 32 bits. */
  readonly hi: Word32 | undefined;
  /**
   * Word i holds bits 32 * i + 31 .. 32 * i.
   * @throws RangeError unless 0 <= i < wordCount
   */
  word(i: number): Word32;
  /** The unsigned value by plain accesses, low word first; not atomic. Exact below 2^53. */
  readNumber(): number;
  /** As {@link readNumber}; value is an integer, 0 <= value < 2^53 (2^32 if the field has 32 bits). */
  writeNumber(value: number): void;
  /** For tests and set-up: allocates, and is not atomic. */
  readBigInt(): bigint;
  writeBigInt(value: bigint): void;
}

/** A 32-bit field: uint32, int32, or half of a 64-bit one. Read signed; `>>> 0` where unsigned is meant. */
export class Word32 implements LongField {
  readonly wordCount: number = 1;

  constructor(
    private readonly memory: Memory,
    readonly address: number,
  ) {}

  get lo(): Word32 {
    return this;
  }

  get hi(): undefined {
    return undefined;
  }

  word(i: number): Word32 {
    if (i !== 0) throw new RangeError(`word ${i} of a 32-bit field`);
    return this;
  }

  read(): number {
    return this.memory.read32(this.address);
  }

  write(value: number): void {
    this.memory.write32(this.address, value);
  }

  load(): number {
    return this.memory.load32(this.address);
  }

  store(value: number): void {
    this.memory.store32(this.address, value);
  }

  add(value: number): number {
    return this.memory.add32(this.address, value);
  }

  and(value: number): number {
    return this.memory.and32(this.address, value);
  }

  or(value: number): number {
    return this.memory.or32(this.address, value);
  }

  xor(value: number): number {
    return this.memory.xor32(this.address, value);
  }

  exchange(value: number): number {
    return this.memory.exchange32(this.address, value);
  }

  compareExchange(expected: number, replacement: number): number {
    return this.memory.compareExchange32(this.address, expected, replacement);
  }

  readNumber(): number {
    return this.read() >>> 0;
  }

  writeNumber(value: number): void {
    this.write(value);
  }

  readBigInt(): bigint {
    return BigInt(this.readNumber());
  }

  writeBigInt(value: bigint): void {
    this.write(Number(BigInt.asIntN(32, value)));
  }
}

/** A 64-bit field: two words, each atomic by itself. */
export class Word64 implements LongField {
  readonly wordCount: number = 2;
  readonly lo: Word32;
  readonly hi: Word32;

  constructor(
    memory: Memory,
    readonly address: number,
  ) {
    this.lo = new Word32(memory, address);
    this.hi = new Word32(memory, address + 4);
  }

  word(i: number): Word32 {
    if (i === 0) return this.lo;
    if (i === 1) return this.hi;
    throw new RangeError(`word ${i} of a 64-bit field`);
  }

  readNumber(): number {
    const low = this.lo.read() >>> 0;
    return (this.hi.read() >>> 0) * 2 ** 32 + low;
  }

  writeNumber(value: number): void {
    this.lo.write(value);
    this.hi.write(Math.floor(value / 2 ** 32));
  }

  readBigInt(): bigint {
    const low = this.lo.readBigInt();
    return (this.hi.readBigInt() << 32n) | low;
  }

  writeBigInt(value: bigint): void {
    this.lo.writeBigInt(value);
    this.hi.writeBigInt(value >> 32n);
  }
}

function outOfRange(what: string, index: number, length: number): RangeError {
  return new RangeError(`${what} ${index} of an array of ${length}`);
}

/** An array of fields or of nested structures. */
export class ArrayField<E> {
  constructor(
    readonly address: number,
    private readonly elements: readonly E[],
  ) {}

  get length(): number {
    return this.elements.length;
  }

  /** @throws RangeError unless i is an index of the array */
  at(i: number): E {
    const element = this.elements[i];
    if (element === undefined) throw outOfRange('element', i, this.elements.length);
    return element;
  }
}

/** An array of 32- or 64-bit integers, also seen as one run of 32-bit words: port p is bit `p & 31` of word `p >> 5`. */
export class WordArray<E extends LongField> extends ArrayField<E> {
  private readonly words: readonly Word32[];

  constructor(address: number, elements: readonly E[]) {
    super(address, elements);
    this.words = elements.flatMap(({ lo, hi }) => (hi === undefined ? [lo] : [lo, hi]));
  }

  get wordCount(): number {
    return this.words.length;
  }

  /** @throws RangeError unless 0 <= i < wordCount */
  word(i: number): Word32 {
    const word = this.words[i];
    if (word === undefined) throw outOfRange('word', i, this.words.length);
    return word;
  }
}

/** An array of bytes, such as a zero-terminated text. Plain accesses. */
export class BytesField {
  constructor(
    private readonly memory: Memory,
    readonly address: number,
    readonly length: number,
  ) {}

  /** @throws RangeError unless i is an index of the array, as `write` */
  read(i: number): number {
    return this.memory.read8(this.addressOf(i));
  }

  write(i: number, value: number): void {
    this.memory.write8(this.addressOf(i), value);
  }

  /** The bytes up to the first zero, as UTF-8. */
  readText(): string {
    const bytes: number[] = [];
    for (let i = 0; i < this.length; i++) {
      const byte = this.read(i);
      if (byte === 0) break;
      bytes.push(byte);
    }
    return Buffer.from(bytes).toString('utf8');
  }

  /**
   * Writes the text and a terminating zero.
   * @throws RangeError if both do not fit; nothing is written then
   */
  writeText(text: string): void {
    const bytes = Buffer.from(`${text}\0`, 'utf8');
    if (bytes.length > this.length) throw outOfRange('byte', bytes.length - 1, this.length);
    bytes.forEach((byte, i) => {
      this.write(i, byte);
    });
  }

  private addressOf(i: number): number {
    if (!(Number.isInteger(i) && i >= 0 && i < this.length)) throw outOfRange('byte', i, this.length);
    return this.address + i;
  }
}
