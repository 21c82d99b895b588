/**
 * The back end of a split block device: a disk of this domain, served to another over a ring.
 *
 * A request is copied off the ring once, and the copy is checked: sectors, segments, whether it may write. The granted frames are
 * mapped while the disk reads or writes them and unmapped before the answer, so that a front end that has its answer can take its
 * grants back. Requests are performed in the order of the ring, which makes every write a barrier for those before it; a
 * barrier and a flush wait for the disk besides.
 *
 * A front end that lies in a request gets an error for it. One that lies about the ring, or tells nonsense in xenstore, loses its
 * connection; the back end lives on.
 *
 * States: a back end begins with Initialising, which tells a front end that is connected to a predecessor to let go, and goes to InitWait
 * once that has happened. Without that step it might find the nodes of the old connection and believe in them.
 *
 * @source Linux, drivers/block/xen-blkback/blkback.c, xenbus.c
 */
import {
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP,
  BLKIF_RSP,
  BLKIF_SECTOR_BYTES,
  GrantError,
  HypercallError,
  VDISK,
  XenbusState,
} from '../abi';
import { blkifProtocolNamed, SECTORS_PER_FRAME } from './blkif';
import type { Disk } from './disk';
import type { Events } from './events';
import { ForeignFrames, type GrantMapping } from './grant-table';
import { Frames } from './library-page';
import { BackRing, RingError, type RingValue } from './ring';
import type { Vcpu } from './vcpu';
import { XenbusDevice } from './xenbus';
import type { Xenstore } from './xenstore';

/** What a back end has done. */
export interface BlkbackCounters {
  readonly requests: number;
  /** Of those, answered with BLKIF_RSP_ERROR or BLKIF_RSP_EOPNOTSUPP. */
  readonly refused: number;
  /** Events sent to the front end. */
  readonly events: number;
}

/**
 * Why serving ended: the front end has closed the device, or has begun anew; `until` was true; the front end broke the protocol,
 * and the `error` node says how.
 */
export type BlkbackEnd = 'closed' | 'reconnecting' | 'stopped' | 'broken';

interface Connection {
  readonly ring: BackRing;
  readonly page: GrantMapping;
  readonly port: number;
}

const { XenbusStateInitialising, XenbusStateInitWait, XenbusStateInitialised } = XenbusState;
const { XenbusStateConnected, XenbusStateClosing, XenbusStateClosed, XenbusStateUnknown } = XenbusState;

export class Blkback {
  private readonly vcpu: Vcpu;
  private readonly device: XenbusDevice;
  private readonly foreign: ForeignFrames;
  private readonly readOnly: boolean;
  /** A frame whose first words the ring uses. */
  private readonly words: number;
  private connection: Connection | undefined;
  private readonly count = { requests: 0, refused: 0, events: 0 };

  /**
   * @param node - `backend/vbd/<front end's domain>/<device>`, made by the toolstack; read-only unless its `mode` is absent or `w`
   * @throws XenstoreError ENOENT: there is no such device
   */
  constructor(
    private readonly events: Events,
    private readonly store: Xenstore,
    node: string,
    private readonly disk: Disk,
  ) {
    this.vcpu = events.vcpu;
    this.device = new XenbusDevice(store, node);
    this.foreign = new ForeignFrames(this.vcpu);
    this.readOnly = disk.readOnly || (this.device.read('mode') ?? 'w') !== 'w';
    this.words = new Frames(this.vcpu).take();
  }

  get counters(): BlkbackCounters {
    return { ...this.count };
  }

  /**
   * Serves front ends, one connection after the other, for as long as the device exists.
   * @param until - looked at after each request is performed, before it is answered: true ends the back end there and then, as
   * a crash would
   * @returns 'closed' or 'stopped'
   */
  run(until: () => boolean = () => false): BlkbackEnd {
    for (;;) {
      const end = this.connect() ? this.serve(until) : 'broken';
      if (end === 'stopped' || end === 'closed') return end;
    }
  }

  /**
   * Waits for a front end and connects to it.
   * @returns false if what it has told cannot be used; the `error` node says why
   */
  connect(): boolean {
    const { device } = this;
    device.switchState(XenbusStateInitialising);
    device.waitForOther(XenbusStateUnknown, XenbusStateInitialising, XenbusStateClosed);
    device.publish({ 'feature-barrier': 1, 'feature-flush-cache': 1 }, XenbusStateInitWait);
    device.waitForOther(XenbusStateInitialised);
    try {
      this.connection = this.attach();
    } catch (error) {
      this.refuse(error);
      return false;
    }
    const info = this.readOnly ? VDISK.VDISK_READONLY : 0;
    device.publish({ sectors: this.disk.sectors, 'sector-size': BLKIF_SECTOR_BYTES, info }, XenbusStateConnected);
    return true;
  }

  /** Serves the front end that is connected. Sleeps while there is nothing to do. See {@link run}. */
  serve(until: () => boolean = () => false): BlkbackEnd {
    const { connection, store } = this;
    if (connection === undefined) throw new Error('serve: connect first');
    for (;;) {
      try {
        if (this.serveRequests(connection, until)) {
          this.stop();
          return 'stopped';
        }
      } catch (error) {
        this.refuse(error);
        return 'broken';
      }
      const left = this.otherHasLeft();
      if (left !== undefined) return left;
      store.waitForEventOr(() => hasRequests(connection.ring));
    }
  }

  /** Lets go of the front end without a word, whatever it waits for: as if this back end had crashed. */
  stop(): void {
    this.detach();
    this.device.unwatch();
    new Frames(this.vcpu).give(this.words);
  }

  /** @returns whether `until` was true */
  private serveRequests({ ring, port }: Connection, until: () => boolean): boolean {
    let notify = false;
    while (ring.unconsumedRequests() > 0) {
      const request = ring.takeRequest();
      const status = this.perform(request);
      this.count.requests++;
      if (status !== BLKIF_RSP.BLKIF_RSP_OKAY) this.count.refused++;
      if (until()) return true;
      ring.putResponse({ id: request.id as number, operation: request.operation as number, status });
      notify = ring.pushResponses();
      if (!notify) continue;
      this.count.events++;
      this.vcpu.hypercall.evtchn.send(port);
    }
    return false;
  }

  /** @param request - a copy. @returns BLKIF_RSP_* */
  private perform(request: RingValue): number {
    switch (request.operation) {
      case BLKIF_OP.BLKIF_OP_READ:
        return this.transfer(request, false);
      case BLKIF_OP.BLKIF_OP_WRITE:
        return this.transfer(request, true);
      case BLKIF_OP.BLKIF_OP_WRITE_BARRIER: {
        // Linux sends an empty one for a flush alone.
        const status = request.nr_segments === 0 ? BLKIF_RSP.BLKIF_RSP_OKAY : this.transfer(request, true);
        return status === BLKIF_RSP.BLKIF_RSP_OKAY ? this.flush() : status;
      }
      case BLKIF_OP.BLKIF_OP_FLUSH_DISKCACHE:
        return request.nr_segments === 0 ? this.flush() : BLKIF_RSP.BLKIF_RSP_ERROR;
      default:
        return BLKIF_RSP.BLKIF_RSP_EOPNOTSUPP;
    }
  }

  private flush(): number {
    return this.disk.flush() === 0 ? BLKIF_RSP.BLKIF_RSP_OKAY : BLKIF_RSP.BLKIF_RSP_ERROR;
  }

  private transfer(request: RingValue, writes: boolean): number {
    const sector = request.sector_number as number;
    const count = request.nr_segments as number;
    if (count === 0 || count > BLKIF_MAX_SEGMENTS_PER_REQUEST || (writes && this.readOnly)) {
      return BLKIF_RSP.BLKIF_RSP_ERROR;
    }
    const segments = (request.seg as readonly RingValue[]).slice(0, count) as unknown as readonly Segment[];
    if (!segments.every(isSegment)) return BLKIF_RSP.BLKIF_RSP_ERROR;
    const sectors = segments.reduce((sum, segment) => sum + lengthOf(segment), 0);
    // A number beyond 2^53 has lost its last bits; it is beyond the disk as well.
    if (sector > this.disk.sectors - sectors) return BLKIF_RSP.BLKIF_RSP_ERROR;
    const mappings: GrantMapping[] = [];
    const isMapped = segments.every(({ gref }) => this.map(gref, writes, mappings));
    const status = isMapped ? this.move(sector, segments, mappings, writes) : BLKIF_RSP.BLKIF_RSP_ERROR;
    for (const mapping of mappings) this.foreign.unmapGrant(mapping);
    return status;
  }

  private map(gref: number, readonly: boolean, into: GrantMapping[]): boolean {
    try {
      into.push(this.foreign.mapGrant(this.device.otherEndId, gref, { readonly }));
      return true;
    } catch (error) {
      if (error instanceof GrantError) return false;
      throw error;
    }
  }

  /** Segments whose bytes follow each other in the window are one access to the disk. */
  private move(
    sector: number,
    segments: readonly Segment[],
    mappings: readonly GrantMapping[],
    writes: boolean,
  ): number {
    let at = sector;
    for (let i = 0; i < segments.length; ) {
      const address = addressOf(segments, mappings, i);
      let sectors = 0;
      do sectors += lengthOf(segments[i++] as Segment);
      while (i < segments.length && addressOf(segments, mappings, i) === address + sectors * BLKIF_SECTOR_BYTES);
      const failed = writes ? this.disk.write(at, sectors, address) : this.disk.read(at, sectors, address);
      if (failed !== 0) return BLKIF_RSP.BLKIF_RSP_ERROR;
      at += sectors;
    }
    return BLKIF_RSP.BLKIF_RSP_OKAY;
  }

  /** Looks at the front end's state if it may have changed. */
  private otherHasLeft(): BlkbackEnd | undefined {
    if (this.store.dispatch() === 0) return undefined;
    const state = this.device.otherState();
    if (state === XenbusStateInitialised || state === XenbusStateConnected) return undefined;
    this.detach();
    if (state === XenbusStateInitialising) return 'reconnecting';
    this.device.switchState(XenbusStateClosing);
    if (state === XenbusStateClosing) this.device.waitForOther(XenbusStateClosed, XenbusStateUnknown);
    this.device.switchState(XenbusStateClosed);
    return 'closed';
  }

  /** @throws RingError, GrantError, HypercallError */
  private attach(): Connection {
    const { device, vcpu } = this;
    const protocol = blkifProtocolNamed(device.readOther('protocol') ?? 'x86_64-abi');
    if (protocol === undefined) throw new RingError('the front end has named a protocol that does not exist');
    const ref = numberOf(device.readOther('ring-ref'), 'ring-ref');
    const remotePort = numberOf(device.readOther('event-channel'), 'event-channel');
    const page = this.foreign.mapGrant(device.otherEndId, ref);
    try {
      const port = this.events.bindInterdomain(device.otherEndId, remotePort, () => {});
      const ring = new BackRing(vcpu.memory, page.address, this.words, protocol);
      ring.attach();
      return { ring, page, port };
    } catch (error) {
      if (error instanceof HypercallError) this.foreign.unmapGrant(page);
      throw error;
    }
  }

  private detach(): void {
    const { connection } = this;
    if (connection === undefined) return;
    this.connection = undefined;
    this.events.unbind(connection.port);
    this.foreign.unmapGrant(connection.page);
  }

  /** The front end has broken the protocol: it is told, and has to let go. */
  private refuse(error: unknown): void {
    if (!(error instanceof RingError || error instanceof GrantError || error instanceof HypercallError)) throw error;
    this.detach();
    this.device.publish({ error: error.message }, XenbusStateClosing);
    this.device.waitForOther(XenbusStateClosed, XenbusStateInitialising, XenbusStateUnknown);
    this.device.switchState(XenbusStateClosed);
  }
}

interface Segment {
  readonly gref: number;
  readonly first_sect: number;
  readonly last_sect: number;
}

function isSegment({ first_sect, last_sect }: Segment): boolean {
  return first_sect <= last_sect && last_sect < SECTORS_PER_FRAME;
}

function lengthOf({ first_sect, last_sect }: Segment): number {
  return last_sect - first_sect + 1;
}

function addressOf(segments: readonly Segment[], mappings: readonly GrantMapping[], i: number): number {
  return (mappings[i] as GrantMapping).address + (segments[i] as Segment).first_sect * BLKIF_SECTOR_BYTES;
}

/** Before sleeping. A ring that lies is something to look at. */
function hasRequests(ring: BackRing): boolean {
  try {
    return ring.finalCheckForRequests();
  } catch (error) {
    if (error instanceof RingError) return true;
    throw error;
  }
}

function numberOf(text: string | undefined, name: string): number {
  if (text === undefined || !/^\d{1,9}$/.test(text)) throw new RingError(`the front end has no number in ${name}`);
  return Number(text);
}
