/**
 * One direction of a page through which two domains pass a stream of bytes: the rings of console and xenstore.
 *
 * Both indices run freely modulo 2^32; a byte's place is its index modulo the size of the ring. The producer writes `prod`
 * alone, the consumer `cons` alone, and both lie in memory that the other side can write: each is read once per operation,
 * and a difference that no honest peer can leave is reported, never used.
 *
 * Ordering. Producer: load cons, write the bytes, store prod. Consumer: load prod, read the bytes, store cons. Loads
 * and stores of indices are sequentially consistent, so bytes are visible before the index that covers them, and a place is
 * read before the index that gives it back. Whoever has moved an index notifies the peer afterwards; a peer that finds
 * nothing to do and goes to sleep in the manner of `haltUntil` therefore wakes up again.
 *
 * @source xen/include/public/io/console.h (MASK_XENCONS_IDX), Linux, drivers/tty/hvc/hvc_xen.c
 */
import type { Memory } from '../memory/memory';

/** What operations return when the indices in the page contradict each other. */
export const RING_CORRUPT = -1;

export interface ByteRingPlace {
  /** Address of the first byte. */
  readonly bytes: number;
  /** A power of two. */
  readonly size: number;
  /** Addresses of the indices. */
  readonly cons: number;
  readonly prod: number;
}

export class ByteRing {
  private readonly place: ByteRingPlace;

  /**
   * @param limit - bytes that may wait at once, at most the ring's size: fewer make a small ring of a large one, which both
   * sides have to agree on (for exploration)
   */
  constructor(
    private readonly memory: Memory,
    place: ByteRingPlace,
    private readonly limit = place.size,
  ) {
    this.place = place;
  }

  /** Bytes that wait to be taken; RING_CORRUPT. */
  waiting(): number {
    const { memory, place, limit } = this;
    const waiting = (memory.load32(place.prod) - memory.load32(place.cons)) >>> 0;
    return waiting > limit ? RING_CORRUPT : waiting;
  }

  /** Bytes there is room for; RING_CORRUPT. */
  room(): number {
    const waiting = this.waiting();
    return waiting === RING_CORRUPT ? RING_CORRUPT : this.limit - waiting;
  }

  /**
   * Producer: appends as many of the bytes as there is room for. The peer has to be notified if there were any.
   * @param from - the first of them to append
   * @returns their number, possibly 0; RING_CORRUPT
   */
  put(bytes: Uint8Array, from = 0): number {
    const { memory, place, limit } = this;
    const cons = memory.load32(place.cons);
    const prod = memory.read32(place.prod);
    const waiting = (prod - cons) >>> 0;
    if (waiting > limit) return RING_CORRUPT;
    const count = Math.min(limit - waiting, bytes.length - from);
    if (count === 0) return 0;
    for (let i = 0; i < count; i++) memory.write8(this.addressOf(prod + i), bytes[from + i] as number);
    memory.store32(place.prod, prod + count);
    return count;
  }

  /**
   * Consumer: takes as many bytes as there are and `into` has room for. The peer has to be notified if there were any.
   * @returns their number, possibly 0; RING_CORRUPT
   */
  take(into: Uint8Array): number {
    const { memory, place, limit } = this;
    const prod = memory.load32(place.prod);
    const cons = memory.read32(place.cons);
    const waiting = (prod - cons) >>> 0;
    if (waiting > limit) return RING_CORRUPT;
    const count = Math.min(waiting, into.length);
    if (count === 0) return 0;
    for (let i = 0; i < count; i++) into[i] = memory.read8(this.addressOf(cons + i));
    memory.store32(place.cons, cons + count);
    return count;
  }

  private addressOf(index: number): number {
    return this.place.bytes + (index & (this.place.size - 1));
  }
}
