/**
 * How the messages of one client travel: over its page and event channel.
 *
 * The page belongs to the client, which may write anything into it at any time. An index that cannot be right, or a payload
 * longer than the protocol allows, cuts the client off: why is written into its page, its watches and transactions are gone, and
 * nothing of it is served any more, until it asks for a new connection (XENSTORE_RECONNECT), which starts from nothing. It
 * costs the others nothing. A client that does not take its answers is not heard further while it has too many of them waiting.
 *
 * @source tools/xenstored/core.c (handle_input, ignore_connection), domain.c (readchn, writechn), docs/misc/xenstore-ring.txt
 */
import { XENSTORE } from '../../abi';
import {
  BAD_INDEX,
  CONNECTION,
  clearIndices,
  decodeHeader,
  ERROR,
  HEADER_BYTES,
  RingReader,
  RingWriter,
  SERVER_FEATURES,
} from '../../guest/xenstore-page';
import type { Memory } from '../../memory/memory';
import type { Client, Request } from './client';
import { toText } from './errors';

const MOST_BYTES = HEADER_BYTES + XENSTORE.XENSTORE_PAYLOAD_MAX;

export class Connection {
  private requests: RingReader;
  private answers: RingWriter;
  private readonly input = new Uint8Array(MOST_BYTES);
  /** Bytes in {@link input}. */
  private filled = 0;
  /** Of the first message in the queue, bytes that have been sent. */
  private sent = 0;
  private isCutOff = false;
  /** Bytes have moved since the client was notified last. */
  private moved = false;

  /**
   * @param memory - the client's
   * @param page - address in it
   * @param port - Domain-0's end of the channel
   */
  constructor(
    readonly client: Client,
    private readonly memory: Memory,
    private readonly page: number,
    readonly port: number,
  ) {
    this.requests = new RingReader(memory, page, 'req', 0);
    this.answers = new RingWriter(memory, page, 'rsp', 0);
  }

  /**
   * Takes what has come and serves what is complete.
   * @param outstanding - answers that may wait: with as many no further request is taken
   */
  receive(outstanding: number, serve: (request: Request) => void): void {
    if (this.memory.load32(this.page + CONNECTION) === XENSTORE.XENSTORE_RECONNECT) this.reconnect();
    while (!this.isCutOff && this.client.outstanding < outstanding) {
      if (!this.complete()) {
        const count = this.requests.read(this.input, this.filled, MOST_BYTES - this.filled);
        if (count === BAD_INDEX) this.cutOff(XENSTORE.XENSTORE_ERROR_RINGIDX);
        if (count <= 0) return;
        this.filled += count;
        this.moved = true;
        continue;
      }
      const request = this.takeRequest();
      if (request !== undefined) serve(request);
    }
  }

  /** Sends what waits, as far as there is room. */
  send(): void {
    const { queue } = this.client;
    while (!this.isCutOff && queue.length > 0) {
      const [first] = queue;
      const bytes = first?.bytes as Uint8Array;
      const count = this.answers.write(bytes, this.sent);
      if (count === BAD_INDEX) this.cutOff(XENSTORE.XENSTORE_ERROR_RINGIDX);
      if (count <= 0) return;
      this.moved = true;
      this.sent += count;
      if (this.sent < bytes.length) continue;
      queue.shift();
      this.client.queued -= bytes.length;
      this.sent = 0;
    }
  }

  /** Whether the client has to be notified, by now. */
  takeMoved(): boolean {
    const { moved } = this;
    this.moved = false;
    return moved;
  }

  get features(): number {
    return this.memory.load32(this.page + SERVER_FEATURES) >>> 0;
  }

  set features(features: number) {
    this.memory.store32(this.page + SERVER_FEATURES, features);
  }

  /** Starts from nothing, as when the domain was introduced. */
  reconnect(): void {
    const { memory, page } = this;
    this.forget();
    this.isCutOff = false;
    clearIndices(memory, page);
    this.requests = new RingReader(memory, page, 'req', 0);
    this.answers = new RingWriter(memory, page, 'rsp', 0);
    memory.store32(page + ERROR, XENSTORE.XENSTORE_ERROR_NONE);
    // Last: the client waits for it.
    memory.store32(page + CONNECTION, XENSTORE.XENSTORE_CONNECTED);
    this.moved = true;
  }

  /** Whether a whole request has come, or one that is too long. */
  private complete(): boolean {
    if (this.filled < HEADER_BYTES) return false;
    const { length } = decodeHeader(this.input);
    return length > XENSTORE.XENSTORE_PAYLOAD_MAX || this.filled >= HEADER_BYTES + length;
  }

  private takeRequest(): Request | undefined {
    const { length, type, reqId, txId } = decodeHeader(this.input);
    if (length > XENSTORE.XENSTORE_PAYLOAD_MAX) {
      this.cutOff(XENSTORE.XENSTORE_ERROR_PROTO);
      return undefined;
    }
    const end = HEADER_BYTES + length;
    const payload = toText(this.input, HEADER_BYTES, end);
    this.input.copyWithin(0, end, this.filled);
    this.filled -= end;
    return { type, reqId, txId, payload };
  }

  /** @param why - XENSTORE_ERROR_* */
  private cutOff(why: number): void {
    this.forget();
    this.isCutOff = true;
    this.memory.store32(this.page + ERROR, why);
    this.moved = true;
  }

  private forget(): void {
    this.client.reset();
    this.filled = 0;
    this.sent = 0;
  }
}
