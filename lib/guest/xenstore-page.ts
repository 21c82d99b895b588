/**
 * The page through which a domain and xenstored exchange messages, and the messages themselves. Both ends use it.
 *
 * Each side owns two of the four indices and keeps its own copy of them; it reads the other side's, once per operation, and
 * checks what it has read: no more than a ring full can lie between two indices.
 *
 * Ordering. Who produces: load the consumer's index, write bytes, store the own index. Who consumes: load the producer's index,
 * read bytes, store the own index. Loads and stores of indices are sequentially consistent: bytes are visible before the index
 * that covers them, and read before the index that gives their place back.
 *
 * @source xen/include/public/io/xs_wire.h, docs/misc/xenstore-ring.txt
 */
import { layoutOf, XENSTORE } from '../abi';
import type { Memory } from '../memory/memory';
import { copyFromRing, copyToRing } from './ring-bytes';

export const HEADER_BYTES = layoutOf('x86_64', 'xsd_sockmsg').size;
const RING_BYTES = XENSTORE.XENSTORE_RING_SIZE;
/** The same on every ABI. */
const { fields } = layoutOf('x86_64', 'xenstore_domain_interface');

function offsetOf(field: string): number {
  return fields[field]?.offset as number;
}

export const SERVER_FEATURES = offsetOf('server_features');
export const CONNECTION = offsetOf('connection');
export const ERROR = offsetOf('error');

/** What an operation returns when the other side's index cannot be right. */
export const BAD_INDEX = -1;

/** xsd_sockmsg. */
export interface XsHeader {
  readonly type: number;
  readonly reqId: number;
  readonly txId: number;
  readonly length: number;
}

/** A header and its payload as bytes. */
export function encodeMessage(type: number, reqId: number, txId: number, payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + payload.length);
  [type, reqId, txId, payload.length].forEach((word, index) => {
    for (let byte = 0; byte < 4; byte++) message[index * 4 + byte] = word >>> (byte * 8);
  });
  message.set(payload, HEADER_BYTES);
  return message;
}

/** @param bytes - HEADER_BYTES of them at least */
export function decodeHeader(bytes: Uint8Array): XsHeader {
  const word = (index: number): number => {
    const at = index * 4;
    const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
  };
  return { type: word(0), reqId: word(1), txId: word(2), length: word(3) };
}

/** One direction of the page, for the side that fills it. */
export class RingWriter {
  /** @param produced - the side's own index */
  constructor(
    private readonly memory: Memory,
    private readonly page: number,
    private readonly ring: 'req' | 'rsp',
    private produced: number,
  ) {}

  /**
   * Appends as many of the bytes as there is room for. The other side has to be notified if there were any.
   * @returns their number; BAD_INDEX
   */
  write(bytes: Uint8Array, from: number): number {
    const { memory, page, ring } = this;
    const used = (this.produced - memory.load32(page + offsetOf(`${ring}_cons`))) >>> 0;
    if (used > RING_BYTES) return BAD_INDEX;
    const count = Math.min(RING_BYTES - used, bytes.length - from);
    if (count === 0) return 0;
    copyToRing(memory, page + offsetOf(ring), RING_BYTES, this.produced, bytes, from, count);
    this.produced = (this.produced + count) | 0;
    memory.store32(page + offsetOf(`${ring}_prod`), this.produced);
    return count;
  }

  /** Whether there is no room, so that the other side will notify when there is. */
  isFull(): boolean {
    return (this.produced - this.memory.load32(this.page + offsetOf(`${this.ring}_cons`))) >>> 0 >= RING_BYTES;
  }
}

/** One direction of the page, for the side that empties it. */
export class RingReader {
  /** @param consumed - the side's own index */
  constructor(
    private readonly memory: Memory,
    private readonly page: number,
    private readonly ring: 'req' | 'rsp',
    private consumed: number,
  ) {
    this.before = consumed;
  }

  /** The own index before the last read. */
  private before: number;

  /**
   * Takes at most `most` bytes into `into`, from `start` on. The other side has to be notified if there were any.
   * @returns their number; BAD_INDEX
   */
  read(into: Uint8Array, start: number, most: number): number {
    const { memory, page, ring } = this;
    const waiting = (memory.load32(page + offsetOf(`${ring}_prod`)) - this.consumed) >>> 0;
    if (waiting > RING_BYTES) return BAD_INDEX;
    const count = Math.min(waiting, most);
    if (count === 0) return 0;
    copyFromRing(memory, page + offsetOf(ring), RING_BYTES, this.consumed, into, start, count);
    const before = this.consumed;
    this.consumed = (before + count) | 0;
    memory.store32(page + offsetOf(`${ring}_cons`), this.consumed);
    this.before = before;
    return count;
  }

  /**
   * Whether the other side may have found the ring full before the last {@link read}, and waits to be notified of that.
   *
   * It looks for room again after each time it has moved its index; this looks at that index after having moved the own one.
   * All are sequentially consistent: either it has seen that there is room, or this sees that the ring was full.
   */
  wasFull(): boolean {
    const produced = this.memory.load32(this.page + offsetOf(`${this.ring}_prod`));
    return (produced - this.before) >>> 0 >= RING_BYTES;
  }

  /** Whether there is something to take. */
  hasMore(): boolean {
    return this.memory.load32(this.page + offsetOf(`${this.ring}_prod`)) !== this.consumed;
  }
}

/** Both indices of one direction, for a side that has not kept its own. */
export function readIndices(
  memory: Memory,
  page: number,
  ring: 'req' | 'rsp',
): { readonly produced: number; readonly consumed: number } {
  return {
    produced: memory.load32(page + offsetOf(`${ring}_prod`)),
    consumed: memory.load32(page + offsetOf(`${ring}_cons`)),
  };
}

/** Sets all indices to 0. Server only, while the client waits for it. */
export function clearIndices(memory: Memory, page: number): void {
  for (const index of ['req_cons', 'req_prod', 'rsp_cons', 'rsp_prod']) memory.store32(page + offsetOf(index), 0);
}
