/**
 * A client of the store apart from how its messages travel: who it is, its watches and transactions, and what waits to be
 * sent to it.
 */
import { XS } from '../../abi';
import { encodeMessage } from '../../guest/xenstore-page';
import { type Answer, toBytes } from './errors';
import type { Transaction } from './nodes';
import type { Subject } from './permissions';

export interface Watch {
  readonly path: string;
  readonly token: string;
  /** Characters of a path in front of what the client is told: it gave a relative path. */
  readonly prefix: number;
}

/** Something that waits to be sent. */
export interface Outgoing {
  readonly bytes: Uint8Array;
  /** Of a watch event: path and token, by which another like it is recognised. */
  readonly event?: string;
}

/** A request as it came. */
export interface Request {
  readonly type: number;
  readonly reqId: number;
  readonly txId: number;
  readonly payload: string;
}

export class Client implements Subject {
  target: number | undefined;
  watches: Watch[] = [];
  transactions = new Map<number, Transaction>();
  /** In the order of sending. */
  readonly queue: Outgoing[] = [];
  /** Bytes in {@link queue}. */
  queued = 0;
  private nextTransaction = 1;

  constructor(
    readonly id: number,
    readonly privileged: boolean,
  ) {}

  /** Number of a transaction that has begun. */
  begin(transaction: Transaction): number {
    while (this.transactions.has(this.nextTransaction)) this.advance();
    const id = this.nextTransaction;
    this.advance();
    this.transactions.set(id, transaction);
    return id;
  }

  answer({ type, reqId, txId }: Request, answer: Answer): void {
    const failed = 'error' in answer;
    const payload = toBytes(failed ? `${answer.error}\0` : answer.payload);
    this.enqueue({ bytes: encodeMessage(failed ? XS.XS_ERROR : type, reqId, txId, payload) });
  }

  /**
   * Tells of a watch that has fired, unless the same event waits already.
   * @param most - bytes that may wait; an event beyond that is dropped
   */
  notify(path: string, token: string, most: number): void {
    const event = `${path}\0${token}\0`;
    if (!path.startsWith('@') && this.queue.some((each) => each.event === event)) return;
    const bytes = encodeMessage(XS.XS_WATCH_EVENT, 0, 0, toBytes(event));
    if (this.queued + bytes.length <= most) this.enqueue({ bytes, event });
  }

  /** Answers that have not left yet. */
  get outstanding(): number {
    return this.queue.filter(({ event }) => event === undefined).length;
  }

  /** As it was when the domain was introduced. */
  reset(): void {
    this.watches = [];
    this.transactions.clear();
    this.queue.length = 0;
    this.queued = 0;
  }

  private enqueue(message: Outgoing): void {
    this.queue.push(message);
    this.queued += message.bytes.length;
  }

  private advance(): void {
    this.nextTransaction = (this.nextTransaction + 1) >>> 0 || 1;
  }
}
