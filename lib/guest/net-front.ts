/**
 * A network card without a card: frames to and from another domain over a {@link Wire}.
 *
 * Sending puts a frame into one of the card's buffers, granted to the peer for good, and a request into the transmit ring; the
 * peer copies the bytes out (GNTTABOP_copy: it checks grant, offset and length) and gives the buffer back. A frame for
 * which there is no buffer is dropped, as a network drops; one too long for the wire is refused. Both are counted.
 *
 * Events are sent only when the other end has said that it sleeps, see `ring.ts`: a busy wire needs none.
 *
 * A hostile peer can send frames that are none, which are counted and answered with an error, or ruin the rings; then the
 * card is `broken` and nothing goes in or out any more. The guest lives on.
 *
 * Either end may close the wire: what it has sent before still arrives, then receiving ends and sending is an error. Who sleeps
 * is woken: the end that closes writes its word and always sends an event; who goes to sleep looks at that word with upcalls
 * disabled, so the event ends the sleep if the look came too early. A domain that ends without closing is not noticed.
 *
 * One vCPU uses the card. Leaves out: segments of one frame (`NETTXF_more_data`), checksum offload, several queues.
 *
 * @source Linux, drivers/net/xen-netfront.c, xen-netback/netback.c
 */
import { GrantError } from '../abi';
import type { Memory } from '../memory/memory';
import { copyFromGrant, GrantTable } from './grant-table';
import { haltUntil } from './irq';
import { Frames } from './library-page';
import { NET_CLOSED, NET_PROTOCOL, NET_RING_SIZE, NETIF_RSP, type NetRequest } from './net-ring';
import { type Wire, WireError } from './net-wire';
import { BackRing, FrontRing, RING_END_BYTES, RingError } from './ring';
import { copyFromRing, copyToRing } from './ring-bytes';
import type { Vcpu } from './vcpu';

/** Longest frame: an Ethernet frame without its checksum. */
export const NET_FRAME_BYTES = 1514;
/** Buffers to a page of memory. */
const BUFFERS_PER_PAGE = 2;
const FRAME_BYTES = 4096;
const BUFFER_BYTES = FRAME_BYTES / BUFFERS_PER_PAGE;
const DEFAULT_DEPTH = 16;

/** What a card has done. */
export interface NetCounters {
  readonly sent: number;
  readonly received: number;
  /** Frames for which no buffer was free. */
  readonly dropped: number;
  /** Frames longer than the wire takes, or empty. */
  readonly oversize: number;
  /** Frames of the peer that were none. */
  readonly bad: number;
  /** Frames of ours that the peer has refused. */
  readonly refused: number;
  /** Events sent to the peer. */
  readonly events: number;
}

export class NetFront {
  private readonly memory: Memory;
  /** The own transmit ring. */
  private readonly transmit: FrontRing;
  /** The peer's. */
  private readonly serve: BackRing;
  /** By number of buffer. */
  private readonly grefs: readonly number[];
  private readonly addresses: readonly number[];
  private readonly free: number[];
  private readonly inFlight: boolean[];
  /** Where the peer's frames are copied to. */
  private readonly landing: number;
  private isBroken = false;
  private readonly count = { sent: 0, received: 0, dropped: 0, oversize: 0, bad: 0, refused: 0, events: 0 };

  /**
   * @param wire - connected, with a handler that does nothing but wake this vCPU
   * @param depth - frames that may be under way, 1 .. 256; two to a page of the domain's memory
   * @throws RangeError if the domain has too little memory or grants for that
   */
  constructor(
    private readonly vcpu: Vcpu,
    private readonly wire: Wire,
    depth = DEFAULT_DEPTH,
  ) {
    if (!Number.isInteger(depth) || depth < 1 || depth > NET_RING_SIZE) {
      throw new RangeError(`depth must be an integer from 1 to ${NET_RING_SIZE}, not ${depth}`);
    }
    this.memory = vcpu.memory;
    const [frames, grants] = [new Frames(vcpu), new GrantTable(vcpu)];
    const pages = Array.from({ length: Math.ceil(depth / BUFFERS_PER_PAGE) }, () => frames.take());
    const refs = pages.map((page) => grants.grantAccess(wire.peer, page / FRAME_BYTES, { readonly: true }));
    const ids = [...new Array(depth).keys()];
    this.grefs = ids.map((id) => refs[Math.floor(id / BUFFERS_PER_PAGE)] as number);
    this.addresses = ids.map((id) => (pages[Math.floor(id / BUFFERS_PER_PAGE)] as number) + offsetOf(id));
    this.free = ids.reverse();
    this.inFlight = new Array(depth).fill(false);
    this.landing = frames.take();
    // Frames land in the first half of the page.
    const own = this.landing + BUFFER_BYTES;
    this.transmit = new FrontRing(vcpu.memory, wire.transmit, own, NET_PROTOCOL);
    this.serve = new BackRing(vcpu.memory, wire.receive, own + RING_END_BYTES, NET_PROTOCOL);
  }

  /** The peer has ruined a ring: nothing goes in or out any more. */
  get broken(): boolean {
    return this.isBroken;
  }

  /** The peer has closed its end: it takes no frame any more. Frames it has sent before may be waiting still. */
  get closed(): boolean {
    return this.memory.load32(this.wire.receive + NET_CLOSED) !== 0;
  }

  /** Closes this end, for good. The peer still gets what was sent. */
  close(): void {
    this.memory.store32(this.wire.transmit + NET_CLOSED, 1);
    this.notify();
  }

  get counters(): NetCounters {
    return { ...this.count };
  }

  /**
   * Sends a frame, if there is a buffer for it.
   * @returns false if it was dropped, is no frame, or the card is broken
   * @throws WireError if either end has closed the wire
   */
  send(frame: Uint8Array): boolean {
    this.requireOpen();
    if (frame.length === 0 || frame.length > NET_FRAME_BYTES) {
      this.count.oversize++;
      return false;
    }
    this.reclaim();
    const id = this.isBroken ? undefined : this.free.pop();
    if (id === undefined) {
      this.count.dropped++;
      return false;
    }
    copyToRing(this.memory, this.addresses[id] as number, FRAME_BYTES, 0, frame, 0, frame.length);
    this.inFlight[id] = true;
    this.transmit.putRequest({
      gref: this.grefs[id] as number,
      offset: offsetOf(id),
      flags: 0,
      id,
      size: frame.length,
    });
    if (this.transmit.pushRequests()) this.notify();
    this.count.sent++;
    return true;
  }

  /**
   * Takes a frame that has come.
   * @returns undefined if there is none, or the card is broken
   */
  receive(): Uint8Array | undefined {
    try {
      while (!this.isBroken && this.serve.unconsumedRequests() > 0) {
        const request = this.serve.takeRequest() as unknown as NetRequest;
        const frame = this.fetch(request);
        const status = frame === undefined ? NETIF_RSP.NETIF_RSP_ERROR : NETIF_RSP.NETIF_RSP_OKAY;
        this.serve.putResponse({ id: request.id, status });
        if (this.serve.pushResponses()) this.notify();
        if (frame !== undefined) {
          this.count.received++;
          return frame;
        }
        this.count.bad++;
      }
    } catch (error) {
      this.breakOn(error);
    }
    return undefined;
  }

  /** Sleeps until a frame has come; undefined if none will, as the peer has closed or the card is broken. Not from a handler. */
  waitForFrame(): Uint8Array | undefined {
    for (;;) {
      // Before the ring: all that was sent before closing is in it then.
      const { closed } = this;
      const frame = this.receive();
      if (frame !== undefined || closed || this.isBroken) return frame;
      haltUntil(this.vcpu, () => this.orBroken(() => this.serve.finalCheckForRequests()) || this.closed);
    }
  }

  /** Sleeps until a frame can be sent; false if none ever can, as the peer has closed or the card is broken. Not from a handler. */
  waitForBuffer(): boolean {
    for (;;) {
      this.reclaim();
      if (this.isBroken || this.closed) return false;
      if (this.free.length > 0) return true;
      haltUntil(this.vcpu, () => this.orBroken(() => this.transmit.finalCheckForResponses()) || this.closed);
    }
  }

  private requireOpen(): void {
    const { peer, transmit } = this.wire;
    if (this.closed) throw new WireError(`nothing can be sent: domain ${peer} has closed the wire`);
    if (this.memory.read32(transmit + NET_CLOSED) !== 0) {
      throw new WireError(`nothing can be sent: the wire to domain ${peer} was closed by close()`);
    }
  }

  /** The frame of a request of the peer; undefined if it is none. */
  private fetch({ gref, offset, size }: NetRequest): Uint8Array | undefined {
    if (size === 0 || size > NET_FRAME_BYTES || offset + size > FRAME_BYTES) return undefined;
    try {
      copyFromGrant(this.vcpu, { dom: this.wire.peer, ref: gref, offset }, this.landing, size);
    } catch (error) {
      if (!(error instanceof GrantError)) throw error;
      return undefined;
    }
    const frame = new Uint8Array(size);
    copyFromRing(this.memory, this.landing, FRAME_BYTES, 0, frame, 0, size);
    return frame;
  }

  /** Takes back the buffers that the peer is done with. */
  private reclaim(): void {
    try {
      while (!this.isBroken && this.transmit.unconsumedResponses() > 0) {
        const { id, status } = this.transmit.takeResponse() as { id: number; status: number };
        if (this.inFlight[id] !== true) throw new RingError(`a response to ${id}, which is not under way`);
        this.inFlight[id] = false;
        this.free.push(id);
        if (status !== NETIF_RSP.NETIF_RSP_OKAY) this.count.refused++;
      }
    } catch (error) {
      this.breakOn(error);
    }
  }

  /** A final check; a ring that turns out to be ruined is something to wake up for. */
  private orBroken(check: () => boolean): boolean {
    try {
      return check();
    } catch (error) {
      this.breakOn(error);
      return true;
    }
  }

  private breakOn(error: unknown): void {
    if (!(error instanceof RingError)) throw error;
    this.isBroken = true;
  }

  private notify(): void {
    this.count.events++;
    this.vcpu.hypercall.evtchn.send(this.wire.port);
  }
}

/** Of a buffer, in its page. */
function offsetOf(id: number): number {
  return (id % BUFFERS_PER_PAGE) * BUFFER_BYTES;
}
