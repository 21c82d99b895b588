/**
 * The front end of a split block device: a disk that another domain serves.
 *
 * Several requests may be under way; each has a slot, whose number is its id, and its own grants. A slot keeps what was asked until it
 * is answered: when the back end goes away (it crashed, or its domain restarts it), the front end takes the answers that
 * are in the ring, connects to the next one, and asks again, in the old order, for what has none. What the old one has
 * performed without an answer is performed twice, which changes nothing: it is the same bytes to the same sectors, from
 * pages that the caller leaves alone until the answer.
 *
 * Requests under way at the same time that touch the same sectors come in no order, unless one of them is a barrier.
 *
 * A back end that lies in the ring makes the device `broken`: what is under way ends with -EIO, and all that comes after. The same
 * happens if it keeps a page mapped that it has answered for; that page must not be used again.
 *
 * One vCPU uses the device.
 *
 * @source Linux, drivers/block/xen-blkfront.c
 */
import {
  type AbiName,
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP,
  BLKIF_RSP,
  BLKIF_SECTOR_BYTES,
  DOMID_SELF,
  Errno,
  VDISK,
  XenbusState,
} from '../abi';
import { blkifProtocol, FRAME_BYTES, protocolName, SECTORS_PER_FRAME } from './blkif';
import type { Events } from './events';
import { GrantTable } from './grant-table';
import { Frames } from './library-page';
import { FrontRing, RingError, type RingProtocol, type RingValue, ringSize } from './ring';
import type { Vcpu } from './vcpu';
import { XenbusDevice } from './xenbus';
import type { Xenstore } from './xenstore';

/** What a request asks for. */
export type BlockOperation = 'read' | 'write' | 'barrier' | 'flush';

const OPERATIONS: Readonly<Record<BlockOperation, number>> = {
  read: BLKIF_OP.BLKIF_OP_READ,
  write: BLKIF_OP.BLKIF_OP_WRITE,
  barrier: BLKIF_OP.BLKIF_OP_WRITE_BARRIER,
  flush: BLKIF_OP.BLKIF_OP_FLUSH_DISKCACHE,
};

/** What the back end has told of the disk. */
export interface BlockDeviceInfo {
  /** Of 512 bytes. */
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly hasBarrier: boolean;
  readonly hasFlush: boolean;
}

/** What a front end has done. */
export interface BlkfrontCounters {
  readonly requests: number;
  /** Requests asked again of another back end. */
  readonly requeued: number;
  /** Connections made, the first included. */
  readonly connections: number;
  /** Events sent to the back end. */
  readonly events: number;
}

/** A request under way. */
interface Slot {
  /** What goes into the ring, as often as it has to. */
  readonly request: RingValue;
  /** In which it was submitted. */
  readonly order: number;
  /** How many of the slot's references are grants. */
  readonly grants: number;
  /** 0 or -errno, once it is over. */
  result: number | undefined;
}

interface Connection {
  readonly ring: FrontRing;
  readonly ref: number;
  readonly port: number;
}

const DEFAULT_DEPTH = 8;
const { XenbusStateInitialising, XenbusStateInitWait, XenbusStateInitialised } = XenbusState;
const { XenbusStateConnected, XenbusStateClosing, XenbusStateClosed } = XenbusState;

export class Blkfront {
  private readonly vcpu: Vcpu;
  private readonly device: XenbusDevice;
  private readonly grants: GrantTable;
  private readonly frames: Frames;
  private readonly protocol: RingProtocol;
  /** The ring's own words. */
  private readonly words: number;
  private ringPage: number;
  private connection: Connection | undefined;
  private told: BlockDeviceInfo = { sectors: 0, readOnly: true, hasBarrier: false, hasFlush: false };
  private readonly slots: (Slot | undefined)[];
  /** By slot; they are kept from one request to the next. */
  private readonly refs: readonly number[][];
  /** Why nothing goes any more: -EIO or -ENODEV. */
  private ended = 0;
  private orders = 0;
  private readonly count = { requests: 0, requeued: 0, connections: 0, events: 0 };

  /**
   * Sleeps until the back end has connected.
   * @param node - `device/vbd/<device>`, made by the toolstack
   * @param depth - requests that may be under way, 1 .. 32 (as many as the ring has entries)
   * @throws XenstoreError ENOENT: there is no such device
   */
  constructor(
    private readonly events: Events,
    private readonly store: Xenstore,
    node: string,
    depth = DEFAULT_DEPTH,
  ) {
    const { vcpu } = events;
    this.vcpu = vcpu;
    this.protocol = blkifProtocol(vcpu.domain.abi as AbiName);
    const most = ringSize(this.protocol);
    if (!Number.isInteger(depth) || depth < 1 || depth > most) {
      throw new RangeError(`depth must be an integer from 1 to ${most}, not ${depth}`);
    }
    this.device = new XenbusDevice(store, node);
    this.grants = new GrantTable(vcpu);
    this.frames = new Frames(vcpu);
    this.words = this.frames.take();
    this.ringPage = this.frames.take();
    this.slots = new Array(depth).fill(undefined);
    this.refs = Array.from({ length: depth }, () => []);
    this.connect();
  }

  /** What the back end has told of the disk when it connected last. */
  get info(): BlockDeviceInfo {
    return this.told;
  }

  get counters(): BlkfrontCounters {
    return { ...this.count };
  }

  /** The device is of no use any more: the back end has broken the protocol, or the device was taken away or closed. */
  get broken(): boolean {
    return this.ended !== 0;
  }

  /** Reads sectors, however many. Sleeps until it is done. @returns as {@link wait}; -EINVAL, -EFAULT as {@link submit} */
  read(sector: number, count: number, address: number): number {
    return this.inParts('read', sector, count, address);
  }

  /** Writes sectors, however many. They need not be on the disk yet when it returns: see {@link flush}. */
  write(sector: number, count: number, address: number): number {
    return this.inParts('write', sector, count, address);
  }

  /** Returns when all that was written before is on the disk. */
  flush(): number {
    return this.finish(this.submit('flush', 0, 0, 0));
  }

  /** Writes sectors; when it returns, they and all that was written before are on the disk. */
  barrier(sector: number, count: number, address: number): number {
    return this.finish(this.submit('barrier', sector, count, address));
  }

  /**
   * Starts a request. The pages belong to the back end until {@link wait} has returned.
   * @param sector - where on the disk; whether it is there is for the back end to say
   * @param count - in sectors; at most as many as lie in 11 frames; 0 for a flush
   * @param address - of the domain's own memory, a multiple of 512
   * @returns a number for {@link wait}; or -EBUSY if all slots are taken, -EINVAL, -EFAULT, -EIO, -ENODEV
   */
  submit(operation: BlockOperation, sector: number, count: number, address: number): number {
    if (this.ended !== 0) return this.ended;
    const mistake = operation === 'flush' ? 0 : this.check(sector, count, address);
    if (mistake !== 0) return mistake;
    const id = this.slots.indexOf(undefined);
    if (id === -1) return -Errno.EBUSY;
    const seg = this.grantPieces(id, address, operation === 'flush' ? 0 : count, operation !== 'read');
    const request = {
      operation: OPERATIONS[operation],
      nr_segments: seg.length,
      handle: 0,
      id,
      sector_number: sector,
      seg,
    };
    const slot = { request, order: this.orders++, grants: seg.length, result: undefined };
    this.slots[id] = slot;
    this.count.requests++;
    if (this.connection !== undefined) this.push(this.connection, [slot]);
    return id;
  }

  /**
   * Sleeps until a request is over; then its number may be another's. Not from a handler.
   * @param id - as {@link submit} returned it
   * @returns 0; -EIO: the disk could not, or the request is none for this disk (no such sectors, read-only); -EOPNOTSUPP; -ENODEV
   */
  wait(id: number): number {
    const slot = this.slots[id];
    if (slot === undefined) throw new RangeError(`no request ${id} is under way`);
    for (;;) {
      this.reap();
      if (slot.result !== undefined) {
        this.slots[id] = undefined;
        return slot.result;
      }
      if (this.followBackend()) continue;
      const { ring } = this.connection as Connection;
      this.store.waitForEventOr(() => hasResponses(ring));
    }
  }

  /** Waits for what is under way and takes the device down. */
  close(): void {
    this.slots.forEach((slot, id) => {
      if (slot !== undefined) this.wait(id);
    });
    if (this.connection === undefined) return;
    this.device.switchState(XenbusStateClosing);
    this.device.waitForOther(XenbusStateClosing, XenbusStateClosed, XenbusStateInitialising, XenbusStateInitWait);
    this.disconnect();
    this.device.switchState(XenbusStateClosed);
    this.device.unwatch();
    this.ended = -Errno.ENODEV;
  }

  private finish(id: number): number {
    return id < 0 ? id : this.wait(id);
  }

  /** As many requests as it takes, several of them at a time. The first that failed decides. */
  private inParts(operation: BlockOperation, sector: number, count: number, address: number): number {
    if (!Number.isSafeInteger(count) || count < 1) return -Errno.EINVAL;
    const ids: number[] = [];
    let result = 0;
    const finishFirst = (): void => {
      const each = this.wait(ids.shift() as number);
      if (result === 0) result = each;
    };
    for (let done = 0; done < count && result === 0; ) {
      const part = Math.min(count - done, mostSectors(address + done * BLKIF_SECTOR_BYTES));
      const id = this.submit(operation, sector + done, part, address + done * BLKIF_SECTOR_BYTES);
      if (id === -Errno.EBUSY && ids.length > 0) {
        finishFirst();
      } else if (id < 0) {
        result = id;
      } else {
        ids.push(id);
        done += part;
      }
    }
    while (ids.length > 0) finishFirst();
    return result;
  }

  private check(sector: number, count: number, address: number): number {
    if (!Number.isSafeInteger(sector) || sector < 0 || !Number.isSafeInteger(count) || count < 1) return -Errno.EINVAL;
    if (!Number.isSafeInteger(address) || address < 0 || address % BLKIF_SECTOR_BYTES !== 0) return -Errno.EINVAL;
    if (count > mostSectors(address)) return -Errno.EINVAL;
    return address + count * BLKIF_SECTOR_BYTES <= this.vcpu.domain.frames * FRAME_BYTES ? 0 : -Errno.EFAULT;
  }

  /** Grants the frames of a request. */
  private grantPieces(id: number, address: number, count: number, readonly: boolean): RingValue[] {
    const refs = this.refs[id] as number[];
    const pieces: RingValue[] = [];
    for (let left = count, at = address / BLKIF_SECTOR_BYTES; left > 0; ) {
      const first = at % SECTORS_PER_FRAME;
      const sectors = Math.min(left, SECTORS_PER_FRAME - first);
      if (refs.length === pieces.length) refs.push(this.grants.takeRef());
      const gref = refs[pieces.length] as number;
      this.grants.grantAccessRef(gref, this.device.otherEndId, (at - first) / SECTORS_PER_FRAME, { readonly });
      pieces.push({ gref, first_sect: first, last_sect: first + sectors - 1 });
      at += sectors;
      left -= sectors;
    }
    return pieces;
  }

  private push({ ring, port }: Connection, slots: readonly Slot[]): void {
    for (const { request } of slots) ring.putRequest(request);
    if (!ring.pushRequests()) return;
    this.count.events++;
    this.vcpu.hypercall.evtchn.send(port);
  }

  /** Takes what has been answered. */
  private reap(): void {
    const { connection } = this;
    if (connection === undefined) return;
    try {
      while (connection.ring.unconsumedResponses() > 0) this.complete(connection.ring.takeResponse());
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      this.breakDown();
    }
  }

  /** @throws RingError if nothing like it was asked, or the back end still has what it was given */
  private complete({ id, operation, status }: RingValue): void {
    const slot = this.slots[id as number];
    if (slot === undefined || slot.result !== undefined || slot.request.operation !== operation) {
      throw new RingError('there is an answer to what was not asked');
    }
    if (!this.endGrants(id as number, slot)) throw new RingError('the back end keeps pages it has answered for');
    slot.result = resultOf(status as number);
  }

  private endGrants(id: number, { grants }: Slot): boolean {
    const refs = this.refs[id] as number[];
    for (let i = 0; i < grants; i++) if (!this.grants.endAccessRef(refs[i] as number)) return false;
    return true;
  }

  /** Looks at the back end's state if it may have changed; returns whether anything has come of it. */
  private followBackend(): boolean {
    if (this.ended !== 0) {
      this.failAll();
      return true;
    }
    if (this.store.dispatch() === 0) return false;
    if (this.device.otherState() === XenbusStateConnected) return true;
    // What the old back end has answered before it went is done.
    this.reap();
    if (this.ended !== 0) return true;
    this.disconnect();
    this.connect();
    return true;
  }

  /** Connects to a back end, the next one if the first goes away meanwhile, and asks again for what was not answered. */
  private connect(): void {
    const { device } = this;
    for (;;) {
      if (!this.awaitBackend()) {
        this.ended = -Errno.ENODEV;
        return;
      }
      const connection = this.offer();
      const state = device.waitForOther(
        XenbusStateConnected,
        XenbusStateInitialising,
        XenbusStateClosing,
        XenbusStateClosed,
      );
      this.connection = connection;
      if (state === XenbusStateConnected) break;
      this.disconnect();
    }
    this.told = this.readInfo();
    device.switchState(XenbusStateConnected);
    this.count.connections++;
    this.requeue(this.connection as Connection);
  }

  /** Until a back end waits for what this end has to tell. False if the device is taken away. */
  private awaitBackend(): boolean {
    const { device } = this;
    const wanted = device.otherState();
    if (wanted !== XenbusStateClosing && wanted !== XenbusStateClosed) device.switchState(XenbusStateInitialising);
    for (;;) {
      const state = device.waitForOther(XenbusStateInitWait, XenbusStateClosing, XenbusStateClosed);
      if (state === XenbusStateInitWait) return true;
      device.switchState(XenbusStateClosed);
      if (device.readOther('online') === '0') return false;
      device.waitForOther(XenbusStateInitialising, XenbusStateInitWait);
    }
  }

  private offer(): Connection {
    const { device, vcpu } = this;
    const ring = new FrontRing(vcpu.memory, this.ringPage, this.words, this.protocol);
    ring.initialise();
    const ref = this.grants.grantAccess(device.otherEndId, this.ringPage / FRAME_BYTES);
    const port = vcpu.hypercall.evtchn.allocUnbound(DOMID_SELF, device.otherEndId);
    this.events.bindEvtchn(port, () => {});
    const protocol = protocolName(vcpu.domain.abi);
    device.publish({ 'ring-ref': ref, 'event-channel': port, protocol }, XenbusStateInitialised);
    return { ring, ref, port };
  }

  /** A page that a back end of old still has mapped is left to it. */
  private disconnect(): void {
    const { connection } = this;
    if (connection === undefined) return;
    this.connection = undefined;
    this.events.unbind(connection.port);
    if (!this.grants.endAccess(connection.ref)) this.ringPage = this.frames.take();
  }

  private readInfo(): BlockDeviceInfo {
    const number = (name: string): number => {
      const text = this.device.readOther(name) ?? '';
      return /^\d{1,15}$/.test(text) ? Number(text) : 0;
    };
    return {
      sectors: number('sectors'),
      readOnly: (number('info') & VDISK.VDISK_READONLY) !== 0,
      hasBarrier: number('feature-barrier') !== 0,
      hasFlush: number('feature-flush-cache') !== 0,
    };
  }

  private requeue(connection: Connection): void {
    const left = this.slots.filter((slot): slot is Slot => slot !== undefined && slot.result === undefined);
    if (left.length === 0) return;
    left.sort((a, b) => a.order - b.order);
    this.count.requeued += left.length;
    this.push(connection, left);
  }

  private breakDown(): void {
    this.ended = -Errno.EIO;
    this.disconnect();
    this.device.switchState(XenbusStateClosing);
    this.failAll();
  }

  private failAll(): void {
    for (const slot of this.slots) if (slot !== undefined) slot.result ??= this.ended;
  }
}

/** Sectors of the largest request whose pages begin there. */
function mostSectors(address: number): number {
  const first = Math.floor(address / BLKIF_SECTOR_BYTES) % SECTORS_PER_FRAME;
  return BLKIF_MAX_SEGMENTS_PER_REQUEST * SECTORS_PER_FRAME - first;
}

/** @param status - of 16 bits, not extended */
function resultOf(status: number): number {
  const signed = (status << 16) >> 16;
  if (signed === BLKIF_RSP.BLKIF_RSP_OKAY) return 0;
  return signed === BLKIF_RSP.BLKIF_RSP_EOPNOTSUPP ? -Errno.EOPNOTSUPP : -Errno.EIO;
}

/** Before sleeping. A ring that lies is something to look at. */
function hasResponses(ring: FrontRing): boolean {
  try {
    return ring.finalCheckForResponses();
  } catch (error) {
    if (error instanceof RingError) return true;
    throw error;
  }
}
