/**
 * The transmit ring of a network front end, seen from both sides: requests that name a granted frame and the bytes in it, and
 * responses that give it back. `NetRequests` is the side that fills it, `NetResponses` the side that serves it.
 *
 * Indices run freely; each side keeps its own to itself and publishes it, so that the peer can falsify nothing but what it
 * tells. What the peer tells is read once, and checked: no more can be under way than the ring has entries.
 *
 * Notification avoidance: each side says from which index on it wants an event (`req_event`, `rsp_event`). Who publishes an
 * index stores it, then loads the other's wish; who goes to sleep stores the wish, then loads the index once more (the
 * *final check*). All four are sequentially consistent, so one of the two sees the other: no event is missed that is
 * needed. An entry is written before the index that covers it.
 *
 * @source xen/include/public/io/ring.h (RING_PUSH_…_AND_CHECK_NOTIFY, RING_FINAL_CHECK_FOR_…), io/netif.h (netif_tx_request)
 */
import { layoutOf } from '../abi';
import type { Memory } from '../memory/memory';

const { fields, size: HEADER_BYTES } = layoutOf('x86_64', 'sring');

function offsetOf(field: string): number {
  return fields[field]?.offset as number;
}

const REQ_PROD = offsetOf('req_prod');
const REQ_EVENT = offsetOf('req_event');
const RSP_PROD = offsetOf('rsp_prod');
const RSP_EVENT = offsetOf('rsp_event');

/** netif_tx_request; a response fits in. */
const ENTRY_BYTES = 12;
/** Entries of a ring of one page. */
export const NET_RING_SIZE = 2 ** Math.floor(Math.log2((4096 - HEADER_BYTES) / ENTRY_BYTES));

/** netif_tx_response.status. */
export const NETIF_RSP = { NETIF_RSP_OKAY: 0, NETIF_RSP_ERROR: -1, NETIF_RSP_DROPPED: -2 } as const;

/** netif_tx_request, without its flags. */
export interface NetRequest {
  /** Grant of the frame. */
  gref: number;
  /** Of the first byte in it. */
  offset: number;
  /** Repeated in the response. */
  id: number;
  /** Bytes. */
  size: number;
}

/** netif_tx_response. */
export interface NetResponse {
  id: number;
  /** NETIF_RSP_* */
  status: number;
}

/** Whether publishing `now` after `before` passes the index from which on the peer wants an event. */
function passes(event: number, before: number, now: number): boolean {
  return (now - event) >>> 0 < (now - before) >>> 0;
}

/** A ring of one page, cleared: as its owner makes it before anybody else knows of it. */
export function initialiseNetRing(memory: Memory, page: number): void {
  memory.write32(page + REQ_PROD, 0);
  memory.write32(page + RSP_PROD, 0);
  memory.write32(page + REQ_EVENT, 1);
  memory.write32(page + RSP_EVENT, 1);
}

/** An entry's address. */
function entryOf(page: number, index: number): number {
  return page + HEADER_BYTES + (index & (NET_RING_SIZE - 1)) * ENTRY_BYTES;
}

/** The side that makes requests. */
export class NetRequests {
  private produced = 0;
  private published = 0;
  private consumed = 0;

  constructor(
    private readonly memory: Memory,
    private readonly page: number,
  ) {}

  /** Requests without a response. The caller keeps it below {@link NET_RING_SIZE}. */
  get outstanding(): number {
    return (this.produced - this.consumed) | 0;
  }

  put({ gref, offset, id, size }: Readonly<NetRequest>): void {
    const entry = entryOf(this.page, this.produced);
    this.memory.write32(entry, gref);
    this.memory.write32(entry + 4, offset);
    this.memory.write32(entry + 8, id | (size << 16));
    this.produced = (this.produced + 1) | 0;
  }

  /** Makes what was put visible; returns whether the peer has to be notified. */
  publish(): boolean {
    const before = this.published;
    this.published = this.produced;
    this.memory.store32(this.page + REQ_PROD, this.produced);
    return passes(this.memory.load32(this.page + REQ_EVENT), before, this.produced);
  }

  /**
   * Takes a response.
   * @returns false if there is none
   * @throws NetRingError: more responses than requests
   */
  take(into: NetResponse): boolean {
    const waiting = (this.memory.load32(this.page + RSP_PROD) - this.consumed) >>> 0;
    if (waiting === 0) return false;
    if (waiting > this.outstanding) throw new NetRingError('more responses than requests');
    const word = this.memory.read32(entryOf(this.page, this.consumed));
    into.id = word & 0xffff;
    into.status = word >> 16;
    this.consumed = (this.consumed + 1) | 0;
    return true;
  }

  /** Asks for an event at the next response; returns whether one has come already. */
  awaitResponse(): boolean {
    this.memory.store32(this.page + RSP_EVENT, this.consumed + 1);
    return this.memory.load32(this.page + RSP_PROD) !== this.consumed;
  }
}

/** The side that serves requests. */
export class NetResponses {
  private consumed = 0;
  private produced = 0;
  private published = 0;

  /** @param page - as it is mapped here */
  constructor(
    private readonly memory: Memory,
    private readonly page: number,
  ) {}

  /**
   * Takes a request; the copy is checked by nobody yet.
   * @returns false if there is none
   * @throws NetRingError: more requests than the ring has entries for
   */
  take(into: NetRequest): boolean {
    const waiting = (this.memory.load32(this.page + REQ_PROD) - this.consumed) >>> 0;
    if (waiting === 0) return false;
    if (waiting > NET_RING_SIZE - ((this.consumed - this.produced) | 0))
      throw new NetRingError('more requests than entries');
    const entry = entryOf(this.page, this.consumed);
    const where = this.memory.read32(entry + 4);
    const what = this.memory.read32(entry + 8);
    into.gref = this.memory.read32(entry) >>> 0;
    into.offset = where & 0xffff;
    into.id = what & 0xffff;
    into.size = what >>> 16;
    this.consumed = (this.consumed + 1) | 0;
    return true;
  }

  put({ id, status }: Readonly<NetResponse>): void {
    this.memory.write32(entryOf(this.page, this.produced), (id & 0xffff) | (status << 16));
    this.produced = (this.produced + 1) | 0;
  }

  /** Makes what was put visible; returns whether the peer has to be notified. */
  publish(): boolean {
    const before = this.published;
    this.published = this.produced;
    this.memory.store32(this.page + RSP_PROD, this.produced);
    return passes(this.memory.load32(this.page + RSP_EVENT), before, this.produced);
  }

  /** Asks for an event at the next request; returns whether one has come already. */
  awaitRequest(): boolean {
    this.memory.store32(this.page + REQ_EVENT, this.consumed + 1);
    return this.memory.load32(this.page + REQ_PROD) !== this.consumed;
  }
}

/** The peer has written what no honest peer does: the ring is of no use any more. */
export class NetRingError extends Error {
  override readonly name = 'NetRingError';
  readonly code = 'NET_RING_CORRUPT';
}
