/**
 * Granting frames to other domains, and using what they grant.
 *
 * A grant is an entry in the domain's own table, which the hypervisor reads and marks while the frame is in use. Taking it back
 * is a compare-exchange of the entry's first word: the hypervisor marks by the same operation, so either the entry is gone
 * before it looks or the mark is there before it goes.
 *
 * References that are free form a list through the frame numbers of their entries, which mean nothing meanwhile. The first
 * eight belong to the toolstack.
 *
 * DIFFERS: the word that is exchanged holds the domain besides the flags; a kernel on hardware exchanges the flags alone.
 *
 * @source Linux, drivers/xen/grant-table.c; Mini-OS, gnttab.c
 */
import { DOMID_SELF } from '../abi/domain-ids';
import { GNTMAP, GNTST, GNTTAB, GrantError, GTF } from '../abi/grant';
import {
  GRANT_FREE,
  GRANT_LOCK,
  GRANTS_TAKEN,
  libraryPage,
  lockLibrary,
  MAX_WINDOW_PAGES,
  unlockLibrary,
  WINDOW_MAP,
} from './library-page';
import type { Vcpu } from './vcpu';

const FRAME_BYTES = 4096;
const ENTRY_BYTES = 8;
const ENTRIES_PER_FRAME = FRAME_BYTES / ENTRY_BYTES;
const FRAME_OFFSET = 4;
const RESERVED = GNTTAB.GNTTAB_NR_RESERVED_ENTRIES;
const IN_USE = GTF.GTF_reading | GTF.GTF_writing;

/** A domain's own grant table. Immutable; every vCPU may have its own. */
export class GrantTable {
  /** Address of the first entry. */
  readonly address: number;
  private readonly page: number;

  constructor(private readonly vcpu: Vcpu) {
    const [first] = vcpu.hypercall.grant.setupTable(DOMID_SELF, 1);
    this.address = (first as number) * FRAME_BYTES;
    this.page = libraryPage(vcpu);
  }

  /** Address of an entry. */
  entry(ref: number): number {
    return this.address + ref * ENTRY_BYTES;
  }

  /**
   * Lets a domain use a frame, under a reference of its own.
   * @param dom - which domain
   * @param frame - number of a frame of this domain
   * @returns the reference, to be told to the other domain
   * @throws RangeError if the table is full
   */
  grantAccess(dom: number, frame: number, options: { readonly readonly?: boolean } = {}): number {
    const ref = this.takeRef();
    this.grantAccessRef(ref, dom, frame, options);
    return ref;
  }

  /**
   * As {@link grantAccess}, with a reference that is the caller's already: one of those reserved, or one used before.
   *
   * The first word makes the entry valid and is written last; plain stores do, for they keep their order.
   */
  grantAccessRef(ref: number, dom: number, frame: number, options: { readonly readonly?: boolean } = {}): void {
    const { memory } = this.vcpu;
    const flags = GTF.GTF_permit_access | (options.readonly === true ? GTF.GTF_readonly : 0);
    memory.write32(this.entry(ref) + FRAME_OFFSET, frame);
    memory.write32(this.entry(ref), (dom << 16) | flags);
  }

  /** Whether somebody has the frame mapped or copies it. True may be out of date at once, false as well. */
  isInUse(ref: number): boolean {
    return (this.vcpu.memory.load32(this.entry(ref)) & IN_USE) !== 0;
  }

  /**
   * Takes a grant back if nobody uses it; the reference stays the caller's. Once this has returned true nobody can use it any more.
   * @returns false while it is in use: nothing has changed, try again later
   */
  endAccessRef(ref: number): boolean {
    const { memory } = this.vcpu;
    const entry = this.entry(ref);
    let seen = memory.load32(entry);
    for (;;) {
      if ((seen & IN_USE) !== 0) return false;
      const found = memory.compareExchange32(entry, seen, GTF.GTF_invalid);
      if (found === seen) return true;
      seen = found;
    }
  }

  /** As {@link endAccessRef}; the reference is free again when this returns true. */
  endAccess(ref: number): boolean {
    if (!this.endAccessRef(ref)) return false;
    this.giveRef(ref);
    return true;
  }

  /** A reference nobody else has, with an invalid entry. @throws RangeError if the table is full */
  takeRef(): number {
    const { memory } = this.vcpu;
    const flags = lockLibrary(this.vcpu, this.page + GRANT_LOCK);
    let ref = memory.read32(this.page + GRANT_FREE);
    if (ref === 0) ref = this.firstUse();
    else memory.write32(this.page + GRANT_FREE, memory.read32(this.entry(ref) + FRAME_OFFSET));
    unlockLibrary(this.vcpu, this.page + GRANT_LOCK, flags);
    if (ref === 0) throw new RangeError('the grant table is full: raise grantFrames of the domain');
    return ref;
  }

  /** A reference that was never used, 0 if there is none. Precondition: the lock held, so that nobody uses a frame too early. */
  private firstUse(): number {
    const { memory } = this.vcpu;
    const taken = memory.read32(this.page + GRANTS_TAKEN);
    const ref = RESERVED + taken;
    if (ref % ENTRIES_PER_FRAME === 0 && !this.grow(ref / ENTRIES_PER_FRAME + 1)) return 0;
    memory.write32(this.page + GRANTS_TAKEN, taken + 1);
    return ref;
  }

  private grow(frames: number): boolean {
    try {
      this.vcpu.hypercall.grant.setupTable(DOMID_SELF, frames);
      return true;
    } catch (error) {
      if (error instanceof GrantError) return false;
      throw error;
    }
  }

  /** Gives a reference back. @param ref - its entry invalid */
  giveRef(ref: number): void {
    const { memory } = this.vcpu;
    const flags = lockLibrary(this.vcpu, this.page + GRANT_LOCK);
    memory.write32(this.entry(ref) + FRAME_OFFSET, memory.read32(this.page + GRANT_FREE));
    memory.write32(this.page + GRANT_FREE, ref);
    unlockLibrary(this.vcpu, this.page + GRANT_LOCK, flags);
  }
}

/** Another domain's frame as this domain sees it, until it is unmapped. */
export interface GrantMapping {
  /** Of the first byte, in `vcpu.memory`. */
  readonly address: number;
  readonly handle: number;
}

/** Frames that other domains grant, mapped into this domain's window. Immutable; every vCPU may have its own. */
export class ForeignFrames {
  private readonly map: number;
  private readonly pages: number;

  constructor(private readonly vcpu: Vcpu) {
    this.map = libraryPage(vcpu) + WINDOW_MAP;
    this.pages = Math.min(vcpu.domain.grantWindow.pages, MAX_WINDOW_PAGES);
  }

  /**
   * Maps a grant at a free page of the window.
   * @throws GrantError with the hypervisor's status, or GNTST_no_device_space when the window is full
   */
  mapGrant(dom: number, ref: number, options: { readonly readonly?: boolean } = {}): GrantMapping {
    const flags = GNTMAP.GNTMAP_host_map | (options.readonly === true ? GNTMAP.GNTMAP_readonly : 0);
    const page = this.takePage();
    const address = this.vcpu.domain.grantWindow.address + page * FRAME_BYTES;
    try {
      const { handle } = this.vcpu.hypercall.grant.mapGrantRef(address, flags, ref, dom);
      return { address, handle };
    } catch (error) {
      if (error instanceof GrantError) this.givePage(page);
      throw error;
    }
  }

  /** Unmaps it. Accesses to its addresses end the domain from then on. */
  unmapGrant({ address, handle }: GrantMapping): void {
    this.vcpu.hypercall.grant.unmapGrantRef(address, 0, handle);
    this.givePage((address - this.vcpu.domain.grantWindow.address) / FRAME_BYTES);
  }

  private takePage(): number {
    const { memory } = this.vcpu;
    for (let page = 0; page < this.pages; page++) {
      const word = this.map + (page >> 5) * 4;
      const bit = 1 << (page & 31);
      if ((memory.read32(word) & bit) === 0 && (memory.or32(word, bit) & bit) === 0) return page;
    }
    throw new GrantError('GNTTABOP_map_grant_ref', GNTST.GNTST_no_device_space);
  }

  private givePage(page: number): void {
    this.vcpu.memory.and32(this.map + (page >> 5) * 4, ~(1 << (page & 31)));
  }
}

/**
 * Copies bytes of a granted frame into the domain's own memory.
 * @param address - of the first byte there; they may lie in two frames
 * @throws GrantError
 */
export function copyFromGrant(vcpu: Vcpu, from: GrantPart, address: number, length: number): void {
  eachFrame(address, length, (gmfn, offset, done, len) => {
    const source = { domid: from.dom, ref: from.ref, offset: from.offset + done };
    vcpu.hypercall.grant.copy(source, { domid: DOMID_SELF, gmfn, offset }, len);
  });
}

/** Copies bytes of the domain's own memory into a granted frame. See {@link copyFromGrant}. */
export function copyToGrant(vcpu: Vcpu, to: GrantPart, address: number, length: number): void {
  eachFrame(address, length, (gmfn, offset, done, len) => {
    const dest = { domid: to.dom, ref: to.ref, offset: to.offset + done };
    vcpu.hypercall.grant.copy({ domid: DOMID_SELF, gmfn, offset }, dest, len);
  });
}

/** A place in a granted frame. */
export interface GrantPart {
  readonly dom: number;
  readonly ref: number;
  /** In bytes. */
  readonly offset: number;
}

function eachFrame(
  address: number,
  length: number,
  copy: (frame: number, offset: number, done: number, length: number) => void,
): void {
  for (let done = 0; done < length; ) {
    const offset = (address + done) % FRAME_BYTES;
    const part = Math.min(length - done, FRAME_BYTES - offset);
    copy(Math.floor((address + done) / FRAME_BYTES), offset, done, part);
    done += part;
  }
}
