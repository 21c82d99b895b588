/**
 * Rings of requests and responses in a page that two domains share: the front end puts requests in and takes responses out, the
 * back end the other way round. Both use the same entries, each as large as the larger of the two structures.
 *
 * Indices run freely modulo 2^32 and are compared by their difference. Of the shared ones each side writes its own and believes
 * nothing of the other's: what cannot be is a {@link RingError}. What an end has prepared but not shown, and how far it has read,
 * are two words of its own domain's memory.
 *
 * Order: entries are written before the index that shows them, plainly, since plain stores keep their order. Notifications: who
 * sleeps first writes the index at which it wants an event, then looks once more; who produces first shows the index, then looks
 * whether an event is wanted. Between the store and the load of either a full barrier stands, so one of the two sees the other.
 *
 * @source xen/include/public/io/ring.h
 */
import { layoutOf } from '../abi/layouts';
import type { FieldLayout, StructLayout } from '../abi/struct';
import type { Memory } from '../memory/memory';

const { fields: SRING } = layoutOf('x86_64', 'sring');
const REQ_PROD = (SRING.req_prod as FieldLayout).offset;
const REQ_EVENT = (SRING.req_event as FieldLayout).offset;
const RSP_PROD = (SRING.rsp_prod as FieldLayout).offset;
const RSP_EVENT = (SRING.rsp_event as FieldLayout).offset;
const ENTRIES = (SRING.ring as FieldLayout).offset;

/** Bytes of the words an end keeps in its own domain's memory. */
export const RING_END_BYTES = 8;
const PROD_PVT = 0;
const CONS = 4;

const TWO_TO_32 = 0x1_0000_0000;

/** The other end's indices, or one's own use of the ring, are what cannot be. */
export class RingError extends Error {
  override readonly name = 'RingError';
}

/** The value of a structure: numbers by member, arrays and nested structures likewise. 64-bit members are rounded from 2^53 on. */
export interface RingValue {
  readonly [member: string]: number | readonly number[] | readonly RingValue[];
}

/** What goes through a ring. */
export interface RingProtocol {
  readonly request: StructLayout;
  readonly response: StructLayout;
}

/** Entries of a ring in so many bytes: the largest power of two that fits. */
export function ringSize({ request, response }: RingProtocol, bytes = 4096): number {
  return 2 ** Math.floor(Math.log2((bytes - ENTRIES) / Math.max(request.size, response.size)));
}

/** SHARED_RING_INIT: no entries, and an event for the first of either kind. The other end must not use it yet. */
export function initialiseRing(memory: Memory, address: number): void {
  memory.write32(address + REQ_PROD, 0);
  memory.write32(address + RSP_PROD, 0);
  memory.write32(address + REQ_EVENT, 1);
  memory.write32(address + RSP_EVENT, 1);
}

/** What both ends have. Immutable. */
abstract class RingEnd {
  /** Entries. */
  readonly size: number;
  private readonly entryBytes: number;

  /**
   * @param address - of the shared page, in the end's own memory or mapped
   * @param own - address of {@link RING_END_BYTES} of the end's own domain's memory
   */
  constructor(
    protected readonly memory: Memory,
    readonly address: number,
    readonly own: number,
    protected readonly protocol: RingProtocol,
    bytes = 4096,
  ) {
    this.size = ringSize(protocol, bytes);
    this.entryBytes = Math.max(protocol.request.size, protocol.response.size);
  }

  protected get prodPvt(): number {
    return this.memory.read32(this.own + PROD_PVT);
  }

  protected get cons(): number {
    return this.memory.read32(this.own + CONS);
  }

  protected setOwn(prodPvt: number, cons: number): void {
    this.memory.write32(this.own + PROD_PVT, prodPvt);
    this.memory.write32(this.own + CONS, cons);
  }

  protected entry(index: number): number {
    return this.address + ENTRIES + (index & (this.size - 1)) * this.entryBytes;
  }

  protected put(layout: StructLayout, value: RingValue): void {
    const index = this.prodPvt;
    writeStruct(this.memory, this.entry(index), layout, value);
    this.memory.write32(this.own + PROD_PVT, (index + 1) | 0);
  }

  protected take(layout: StructLayout): RingValue {
    const index = this.cons;
    const value = readStruct(this.memory, this.entry(index), layout);
    this.memory.write32(this.own + CONS, (index + 1) | 0);
    return value;
  }

  /** Shows what was prepared. Whether the other end wants an event: one of those just shown is the one it waits for. */
  protected push(prod: number, event: number): boolean {
    const { memory, address } = this;
    const old = memory.read32(address + prod);
    const now = this.prodPvt;
    memory.write32(address + prod, now);
    memory.fence();
    return distance(now, memory.read32(address + event)) < distance(now, old);
  }

  /** Asks for an event with the next entry, and looks once more. */
  protected arm(event: number): void {
    this.memory.write32(this.address + event, (this.cons + 1) | 0);
    this.memory.fence();
  }
}

/** `later - earlier` modulo 2^32. */
function distance(later: number, earlier: number): number {
  return (later - earlier) >>> 0;
}

/** The end that puts requests in. */
export class FrontRing extends RingEnd {
  /** FRONT_RING_INIT: begins with an empty ring. */
  initialise(): void {
    initialiseRing(this.memory, this.address);
    this.setOwn(0, 0);
  }

  /** Requests there is room for: those without a response take theirs. */
  get free(): number {
    return this.size - distance(this.prodPvt, this.cons);
  }

  /** Prepares a request. @throws RingError if the ring is full */
  putRequest(value: RingValue): void {
    if (this.free === 0) throw new RingError('the ring is full');
    this.put(this.protocol.request, value);
  }

  /** RING_PUSH_REQUESTS_AND_CHECK_NOTIFY: shows what was prepared. True: send an event. */
  pushRequests(): boolean {
    return this.push(REQ_PROD, REQ_EVENT);
  }

  /** RING_HAS_UNCONSUMED_RESPONSES. @throws RingError if there are more than requests without one */
  unconsumedResponses(): number {
    const { cons } = this;
    const count = distance(this.memory.read32(this.address + RSP_PROD), cons);
    if (count > distance(this.prodPvt, cons)) throw new RingError('there are more responses than requests');
    return count;
  }

  /** Takes a response, each member read once. Precondition: there is one. */
  takeResponse(): RingValue {
    return this.take(this.protocol.response);
  }

  /** RING_FINAL_CHECK_FOR_RESPONSES: to be called before sleeping. True: there are some, do not sleep. */
  finalCheckForResponses(): boolean {
    if (this.unconsumedResponses() > 0) return true;
    this.arm(RSP_EVENT);
    return this.unconsumedResponses() > 0;
  }
}

/** The end that takes requests out. */
export class BackRing extends RingEnd {
  /** BACK_RING_ATTACH: goes on where the other end's responses end. @param rspProd - 0 for a new ring */
  attach(rspProd = 0): void {
    this.setOwn(rspProd, rspProd);
  }

  /** RING_HAS_UNCONSUMED_REQUESTS. @throws RingError if req_prod is further on than the ring is large (RING_REQUEST_PROD_OVERFLOW) */
  unconsumedRequests(): number {
    const prod = this.memory.read32(this.address + REQ_PROD);
    const { cons, prodPvt } = this;
    const count = distance(prod, cons);
    if (distance(prod, prodPvt) > this.size || count > this.size)
      throw new RingError('there are more requests than entries');
    return Math.min(count, this.size - distance(cons, prodPvt));
  }

  /** RING_COPY_REQUEST: takes a request, each member read once; what the front end changes afterwards changes nothing. */
  takeRequest(): RingValue {
    return this.take(this.protocol.request);
  }

  /** Prepares a response. @throws RingError if every request taken has one */
  putResponse(value: RingValue): void {
    if (this.prodPvt === this.cons) throw new RingError('there is no request to respond to');
    this.put(this.protocol.response, value);
  }

  /** RING_PUSH_RESPONSES_AND_CHECK_NOTIFY. True: send an event. */
  pushResponses(): boolean {
    return this.push(RSP_PROD, RSP_EVENT);
  }

  /** RING_FINAL_CHECK_FOR_REQUESTS: to be called before sleeping. True: there are some, do not sleep. */
  finalCheckForRequests(): boolean {
    if (this.unconsumedRequests() > 0) return true;
    this.arm(REQ_EVENT);
    return this.unconsumedRequests() > 0;
  }
}

/** Members of a structure; those of unions in unnamed parts by their dotted names. */
function readStruct(memory: Memory, address: number, { fields }: StructLayout): RingValue {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, readField(memory, address + field.offset, field)]),
  );
}

function readField(memory: Memory, at: number, field: FieldLayout): RingValue[string] {
  const { count, stride = field.size, layout } = field;
  if (count === undefined) return readScalar(memory, at, field.size);
  const places = Array.from({ length: count }, (_, i) => at + i * stride);
  if (layout === undefined) return places.map((place) => readScalar(memory, place, stride));
  return places.map((place) => readStruct(memory, place, layout));
}

function writeStruct(memory: Memory, address: number, { fields }: StructLayout, value: RingValue): void {
  for (const [name, field] of Object.entries(fields)) {
    const given = value[name];
    if (given === undefined) continue;
    const at = address + field.offset;
    if (typeof given === 'number') writeScalar(memory, at, field.size, given);
    else for (const [i, each] of given.entries()) writeElement(memory, at, field, i, each);
  }
}

function writeElement(memory: Memory, at: number, field: FieldLayout, i: number, each: number | RingValue): void {
  const { stride = field.size, layout } = field;
  if (typeof each === 'number') writeScalar(memory, at + i * stride, stride, each);
  else if (layout !== undefined) writeStruct(memory, at + i * stride, layout, each);
}

/** Halves at addresses of two bytes are read byte by byte, so that nobody's neighbouring member is touched. */
function readScalar(memory: Memory, at: number, size: number): number {
  if (size === 1) return memory.read8(at);
  if (size === 2) return memory.read8(at) | (memory.read8(at + 1) << 8);
  const low = memory.read32(at) >>> 0;
  return size === 4 ? low : low + (memory.read32(at + 4) >>> 0) * TWO_TO_32;
}

function writeScalar(memory: Memory, at: number, size: number, value: number): void {
  if (size <= 2) {
    for (let i = 0; i < size; i++) memory.write8(at + i, (value >> (i * 8)) & 0xff);
    return;
  }
  memory.write32(at, value | 0);
  if (size === 8) memory.write32(at + 4, Math.floor(value / TWO_TO_32) | 0);
}
