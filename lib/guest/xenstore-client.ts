/**
 * A domain's end of its xenstore page: sends a request, sleeps until the answer has come, and sorts out the events of watches
 * that come in between.
 *
 * One request of a domain is under way at a time; its vCPUs take turns, by a lock they sleep for. Whoever has the turn also takes
 * what has come for the others: an event belongs to the vCPU that set the watch (its number is in the token), and gets
 * there through a queue in the domain's memory. When that is full it is emptied, and each vCPU has all of its watches fire
 * once: what was lost may have been any of them, and watches may fire for nothing.
 *
 * The words the vCPUs share lie in the frame of the page, behind what the store uses of it.
 *
 * @source Linux, drivers/xen/xenbus/xenbus_comms.c, xenbus_xs.c (what it offers; the means are our own)
 */
import { type FieldLayout, HVM_PARAM, structLayout, XENSTORE, XS } from '../abi';
import type { Memory } from '../memory/memory';
import type { Events } from './events';
import { copyFromRing, copyToRing } from './ring-bytes';
import { findServicePage, type ServicePlace } from './service-page';
import type { Vcpu } from './vcpu';
import { WaitQueue } from './wait-queue';
import {
  BAD_INDEX,
  CONNECTION,
  decodeHeader,
  ERROR,
  encodeMessage,
  HEADER_BYTES,
  RingReader,
  RingWriter,
  readIndices,
} from './xenstore-page';

const QUEUE_BYTES = 1024;

/** What the vCPUs of a domain share, behind the store's structure in its frame. All of it is zero at the start of day. */
export const XENSTORE_CLIENT = structLayout('x86_64', 'xenstore_client', {
  /** 1 while a vCPU has its turn. Sleepers wait for its address. */
  lock: 'uint32',
  /** The vCPU that serves the port, its number plus 1; 0: none yet. */
  owner: 'uint32',
  pad0: { type: 'uint32', count: 14 },
  // Guarded by the lock.
  /** How often the queue was full. */
  overflows: 'uint32',
  /** Bytes in the queue. */
  queued: 'uint32',
  pad1: { type: 'uint32', count: 14 },
  /** Events for other vCPUs than those that have found them: vCPU, length, payload. */
  queue: { type: 'uint8', count: QUEUE_BYTES },
});
/** Where it lies in the frame. */
export const CLIENT_OFFSET = 2112;

function at(field: string): number {
  return CLIENT_OFFSET + (XENSTORE_CLIENT.fields[field] as FieldLayout).offset;
}

const LOCK = at('lock');
const OWNER = at('owner');
const OVERFLOWS = at('overflows');
const QUEUED = at('queued');
const QUEUE = at('queue');

/** xenstored has answered with an error, or none can come. */
export class XenstoreError extends Error {
  override readonly name = 'XenstoreError';
  /**
   * @param request - as the protocol spells it, `XS_READ`
   * @param subject - the path, or what else it was about
   * @param code - the error's name: `ENOENT`; `ECONNRESET` when xenstored has cut the domain off
   */
  constructor(
    readonly request: string,
    readonly subject: string,
    readonly code: string,
  ) {
    super(`${request} ${subject}: ${code}`);
  }
}

/** A watch has fired. */
export interface WatchEvent {
  /** What has changed: the watched path, or one below. As the watch was given: relative or not. */
  readonly path: string;
  readonly token: string;
}

/** Where a domain finds its store. @throws XenstoreError ENODEV: it was built without one */
export function findXenstore(vcpu: Vcpu): ServicePlace {
  const place = findServicePage(vcpu, {
    mfn: 'store_mfn',
    evtchn: 'store_evtchn',
    pfnParam: HVM_PARAM.HVM_PARAM_STORE_PFN,
    evtchnParam: HVM_PARAM.HVM_PARAM_STORE_EVTCHN,
  });
  if (place === undefined) throw new XenstoreError('XS_INVALID', 'this domain was built without a store', 'ENODEV');
  return place;
}

export class XenstoreClient {
  readonly vcpu: Vcpu;
  private readonly memory: Memory;
  private readonly page: number;
  private readonly port: number;
  private readonly waiters: WaitQueue;
  /** Events for this vCPU that have been taken off the ring. */
  private readonly events: WatchEvent[] = [];
  private readonly encoder = new TextEncoder();
  private readonly decoder = new TextDecoder();
  private requests = 0;
  private overflows = 0;
  /** The page in the hands of a vCPU that has it for itself. */
  private alone: Turn | undefined;

  /**
   * The first vCPU of a domain that makes one serves the port from then on.
   * @throws XenstoreError ENODEV
   */
  constructor(events: Events) {
    const { vcpu } = events;
    const { page, port } = findXenstore(vcpu);
    this.vcpu = vcpu;
    this.memory = vcpu.memory;
    this.page = page;
    this.port = port;
    this.waiters = new WaitQueue(events, page + LOCK);
    if (vcpu.memory.compareExchange32(page + OWNER, 0, vcpu.id + 1) === 0) {
      events.bindEvtchn(port, () => this.waiters.wakeAll());
    }
  }

  /**
   * Sends a request and sleeps until it is answered. Not from a handler.
   * @param name - of its type in `XS`
   * @param subject - for the message of an error
   * @returns the answer's payload, one character per byte of ASCII, others decoded as UTF-8
   * @throws XenstoreError
   */
  request(name: keyof typeof XS, payload: Uint8Array, subject: string, txId = 0): Uint8Array {
    return this.withTurn((turn) => {
      const reqId = this.nextRequest();
      this.send(turn, encodeMessage(XS[name], reqId, txId, payload), name, subject);
      for (;;) {
        const message = this.receive(turn, name, subject);
        if (message.type === XS.XS_WATCH_EVENT) this.sort(message.payload);
        else if (message.reqId === reqId) {
          this.takeRest(turn, name, subject);
          if (message.type !== XS.XS_ERROR) return message.payload;
          throw new XenstoreError(name, subject, this.decoder.decode(message.payload).replace(/\0$/, ''));
        }
      }
    });
  }

  /** An event of a watch this vCPU has set, if one has come. Not from a handler. */
  takeEvent(): WatchEvent | undefined {
    if (this.events.length === 0) this.collect();
    return this.events.shift();
  }

  /** Whether {@link takeEvent} is worth a call. May be wrong; looked at again after the next upcall, it is right in the end. */
  get mayHaveEvent(): boolean {
    return this.events.length > 0 || this.somethingHasCome() || this.isCutOff();
  }

  /**
   * Sleeps until the condition holds or there may be an event. Not from a handler.
   * @param condition - made true by an upcall of this vCPU
   */
  waitForEventOr(condition: () => boolean): void {
    this.waiters.wait(() => condition() || this.mayHaveEvent);
  }

  /**
   * Sleeps until there is an event of a watch this vCPU has set.
   * @throws XenstoreError ECONNRESET
   */
  awaitEvent(): WatchEvent {
    for (;;) {
      const event = this.takeEvent();
      if (event !== undefined) return event;
      this.waiters.wait(() => this.somethingHasCome() || this.isCutOff());
      if (this.isCutOff()) throw new XenstoreError('XS_WATCH_EVENT', 'waiting', 'ECONNRESET');
    }
  }

  /** Overflows of the queue since this was asked last: every watch of this vCPU may have fired. */
  takeOverflow(): boolean {
    if (this.isAlone) return false;
    const overflows = this.memory.load32(this.page + OVERFLOWS);
    const missed = overflows !== this.overflows;
    this.overflows = overflows;
    return missed;
  }

  /** Begins anew after the store has cut this domain off, or at any time: all watches and transactions are gone. */
  reconnect(): void {
    const { memory, page, vcpu } = this;
    memory.store32(page + CONNECTION, XENSTORE.XENSTORE_RECONNECT);
    vcpu.hypercall.evtchn.send(this.port);
    this.waiters.wait(() => memory.load32(page + CONNECTION) === XENSTORE.XENSTORE_CONNECTED);
    this.alone = undefined;
  }

  private nextRequest(): number {
    this.requests = (this.requests + 1) & 0xff_ffff;
    return this.requests * 128 + this.vcpu.id;
  }

  private get isAlone(): boolean {
    return this.vcpu.domain.vcpus === 1;
  }

  /** One vCPU at a time. */
  private withTurn<T>(use: (turn: Turn) => T): T {
    const { memory, page, waiters } = this;
    if (this.isAlone) {
      this.alone ??= new Turn(memory, page);
      return use(this.alone);
    }
    const take = (): boolean => memory.compareExchange32(page + LOCK, 0, 1) === 0;
    if (!take()) waiters.wait(take);
    const leave = (): void => {
      memory.store32(page + LOCK, 0);
      waiters.wakeAll();
    };
    try {
      const result = use(new Turn(memory, page));
      leave();
      return result;
    } catch (thrown) {
      // Only what is the guest's own: an engine that unwinds this vCPU must not be held up.
      if (thrown instanceof Error) leave();
      throw thrown;
    }
  }

  private send(turn: Turn, message: Uint8Array, name: string, subject: string): void {
    for (let sent = 0; ; ) {
      const count = turn.requests.write(message, sent);
      if (count === BAD_INDEX) throw new XenstoreError(name, subject, 'ECONNRESET');
      if (count > 0) this.vcpu.hypercall.evtchn.send(this.port);
      sent += count;
      if (sent >= message.length) return;
      this.waiters.wait(() => !turn.requests.isFull() || this.isCutOff());
      if (this.isCutOff()) throw new XenstoreError(name, subject, 'ECONNRESET');
    }
  }

  /** The next message, waiting for it. */
  private receive(turn: Turn, name: string, subject: string): Message {
    for (;;) {
      const message = turn.next();
      if (message !== undefined) return message;
      const count = turn.fill();
      if (count === BAD_INDEX) throw new XenstoreError(name, subject, 'ECONNRESET');
      if (count > 0) {
        // The store may be waiting for room.
        if (turn.answers.wasFull()) this.vcpu.hypercall.evtchn.send(this.port);
        continue;
      }
      this.waiters.wait(() => turn.answers.hasMore() || this.isCutOff());
      if (!turn.answers.hasMore() && this.isCutOff()) throw new XenstoreError(name, subject, 'ECONNRESET');
    }
  }

  /** What has been read beyond the answer: events, the last of them perhaps in part. */
  private takeRest(turn: Turn, name: string, subject: string): void {
    while (turn.filled > 0) {
      const message = this.receive(turn, name, subject);
      if (message.type === XS.XS_WATCH_EVENT) this.sort(message.payload);
    }
  }

  /** Takes events off ring and queue. */
  private collect(): void {
    if (!this.somethingHasCome()) return;
    this.withTurn((turn) => {
      if (turn.answers.hasMore()) {
        this.sortMessage(this.receive(turn, 'XS_WATCH_EVENT', 'waiting'));
        this.takeRest(turn, 'XS_WATCH_EVENT', 'waiting');
      }
      if (!this.isAlone) this.takeFromQueue();
    });
  }

  private sortMessage({ type, payload }: Message): void {
    if (type === XS.XS_WATCH_EVENT) this.sort(payload);
  }

  /** Without the lock: a look that may be wrong is repeated after the next upcall. */
  private somethingHasCome(): boolean {
    const { memory, page } = this;
    if (this.alone !== undefined) return this.alone.answers.hasMore();
    const { produced, consumed } = readIndices(memory, page, 'rsp');
    if (produced !== consumed) return true;
    if (this.isAlone) return false;
    if (memory.load32(page + OVERFLOWS) !== this.overflows) return true;
    return memory.load32(page + QUEUED) > 0 && memory.read8(page + QUEUE) === this.vcpu.id;
  }

  private isCutOff(): boolean {
    return this.memory.load32(this.page + ERROR) !== XENSTORE.XENSTORE_ERROR_NONE;
  }

  /** An event goes to the vCPU whose number its token begins with. */
  private sort(payload: Uint8Array): void {
    const [path = '', token = ''] = this.decoder.decode(payload).split('\0');
    const owner = Number.parseInt(token, 10);
    if (!(owner >= 0 && owner < this.vcpu.domain.vcpus) || owner === this.vcpu.id) this.events.push({ path, token });
    else this.passOn(owner, payload);
  }

  private passOn(owner: number, payload: Uint8Array): void {
    const { memory, page } = this;
    const queued = memory.load32(page + QUEUED);
    const entry = Uint8Array.of(owner, 0, payload.length, payload.length >>> 8, ...payload);
    if (queued + entry.length > QUEUE_BYTES) {
      memory.store32(page + QUEUED, 0);
      memory.add32(page + OVERFLOWS, 1);
    } else {
      copyToRing(memory, page + QUEUE, QUEUE_BYTES, queued, entry, 0, entry.length);
      memory.store32(page + QUEUED, queued + entry.length);
    }
    // The others look when this vCPU's turn is over.
  }

  /** Takes what is this vCPU's off the front of the queue. */
  private takeFromQueue(): void {
    const { memory, page } = this;
    const queued = memory.load32(page + QUEUED);
    const bytes = new Uint8Array(queued);
    copyFromRing(memory, page + QUEUE, QUEUE_BYTES, 0, bytes, 0, queued);
    let taken = 0;
    while (taken < queued && bytes[taken] === this.vcpu.id) {
      const start = taken + 4;
      taken = start + ((bytes[taken + 2] as number) | ((bytes[taken + 3] as number) << 8));
      this.sort(bytes.slice(start, taken));
    }
    if (taken === 0) return;
    copyToRing(memory, page + QUEUE, QUEUE_BYTES, 0, bytes, taken, queued - taken);
    memory.store32(page + QUEUED, queued - taken);
  }

  /** Text as it travels. */
  encode(text: string): Uint8Array {
    return this.encoder.encode(text);
  }

  decode(bytes: Uint8Array): string {
    return this.decoder.decode(bytes);
  }
}

interface Message {
  readonly type: number;
  readonly reqId: number;
  readonly payload: Uint8Array;
}

const MOST_BYTES = HEADER_BYTES + XENSTORE.XENSTORE_PAYLOAD_MAX;

/** The page in the hands of the vCPU whose turn it is. */
class Turn {
  readonly requests: RingWriter;
  readonly answers: RingReader;
  /** Bytes read and not yet taken as messages. */
  filled = 0;
  private readonly input = new Uint8Array(MOST_BYTES);

  constructor(memory: Memory, page: number) {
    this.requests = new RingWriter(memory, page, 'req', readIndices(memory, page, 'req').produced);
    this.answers = new RingReader(memory, page, 'rsp', readIndices(memory, page, 'rsp').consumed);
  }

  /** Reads what has come. Returns the number of bytes; BAD_INDEX. */
  fill(): number {
    const count = this.answers.read(this.input, this.filled, MOST_BYTES - this.filled);
    if (count > 0) this.filled += count;
    return count;
  }

  /** The first whole message. */
  next(): Message | undefined {
    if (this.filled < HEADER_BYTES) return undefined;
    const { type, reqId, length } = decodeHeader(this.input);
    const end = HEADER_BYTES + length;
    if (this.filled < end) return undefined;
    const payload = this.input.slice(HEADER_BYTES, end);
    this.input.copyWithin(0, end, this.filled);
    this.filled -= end;
    return { type, reqId, payload };
  }
}
