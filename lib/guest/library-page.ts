/**
 * The page in which the library keeps what is the whole domain's and not a vCPU's: below the kernel blocks, and below the FIFO
 * ABI's area where there is one. From there down to the named words the frames are free; {@link Frames} hands them out.
 *
 * All zero at the start of day, and zero is the right initial value of every word.
 *
 * @source Linux, drivers/xen/grant-table.c (gnttab_list), mm/page_alloc.c for what a page allocator is
 */
import { type FieldLayout, type StructLayout, structLayout } from '../abi/struct';
import type { NamedRange } from '../memory/names';
import { fifoPlaces } from './fifo-area';
import { irqRestore, irqSave } from './irq';
import { checkKernelArea, KERNEL_BLOCK, wordsEnd } from './kernel-area';
import type { GuestDomain, Vcpu } from './vcpu';

const FRAME_BYTES = 4096;
/** Pages of the window that the library hands out, at most. */
export const MAX_WINDOW_PAGES = 16_384;

export const LIBRARY_PAGE: StructLayout = structLayout('x86_64', 'library', {
  frame_lock: 'uint32',
  /** Frames handed out for the first time: they are taken from above. */
  frames_taken: 'uint32',
  /** Address of the first frame that was given back; its first word leads to the next one. */
  frame_free: 'uint32',
  pad0: { type: 'uint32', count: 13 },
  grant_lock: 'uint32',
  /** References handed out for the first time. */
  grants_taken: 'uint32',
  /** First reference that was given back; the frame in its entry is the next one. */
  grant_free: 'uint32',
  pad1: { type: 'uint32', count: 13 },
  /** Bit p: page p of the window is taken. */
  window_map: { type: 'uint32', count: MAX_WINDOW_PAGES / 32 },
});

function offsetOf(name: string): number {
  return (LIBRARY_PAGE.fields[name] as FieldLayout).offset;
}

const FRAME_LOCK = offsetOf('frame_lock');
const FRAMES_TAKEN = offsetOf('frames_taken');
const FRAME_FREE = offsetOf('frame_free');
export const GRANT_LOCK = offsetOf('grant_lock');
export const GRANTS_TAKEN = offsetOf('grants_taken');
export const GRANT_FREE = offsetOf('grant_free');
export const WINDOW_MAP = offsetOf('window_map');

type Place = Pick<GuestDomain, 'vcpus' | 'events' | 'frames' | 'maxPort'>;

/** Address of the page in a domain like that. */
function pageOf({ vcpus, events, frames, maxPort }: Place): number {
  const end = frames * FRAME_BYTES;
  const above = events === 'fifo' ? fifoPlaces(vcpus, end, maxPort).array : end - vcpus * KERNEL_BLOCK.size;
  return (Math.floor(above / FRAME_BYTES) - 1) * FRAME_BYTES;
}

/**
 * Address of the domain's library page.
 * @throws RangeError if the named words leave no room for it
 */
export function libraryPage(vcpu: Vcpu): number {
  const page = pageOf(vcpu.domain);
  checkKernelArea(vcpu, page);
  return page;
}

/** Names for the page, for traces: `library.grant_free`. */
export function libraryRanges(place: Place): NamedRange[] {
  return [{ name: 'library', address: pageOf(place), layout: LIBRARY_PAGE }];
}

/**
 * Takes a lock of the page. With upcalls disabled: a handler that wants the lock must not interrupt its holder.
 * @returns for {@link unlockLibrary}
 */
export function lockLibrary(vcpu: Vcpu, lock: number): number {
  const flags = irqSave(vcpu);
  while (vcpu.memory.compareExchange32(lock, 0, 1) !== 0) vcpu.relax();
  return flags;
}

export function unlockLibrary(vcpu: Vcpu, lock: number, flags: number): void {
  vcpu.memory.store32(lock, 0);
  irqRestore(vcpu, flags);
}

/** The domain's free frames. Immutable; every vCPU may have its own. */
export class Frames {
  private readonly page: number;
  private readonly count: number;

  constructor(private readonly vcpu: Vcpu) {
    this.page = libraryPage(vcpu);
    this.count = Math.max(0, this.page / FRAME_BYTES - Math.ceil(wordsEnd(vcpu) / FRAME_BYTES));
  }

  /**
   * A frame: its address. What is in it is left from its last use, zero at first.
   * @throws RangeError if the domain has no more
   */
  take(): number {
    const { memory } = this.vcpu;
    const flags = lockLibrary(this.vcpu, this.page + FRAME_LOCK);
    let frame = memory.read32(this.page + FRAME_FREE) >>> 0;
    if (frame !== 0) {
      memory.write32(this.page + FRAME_FREE, memory.read32(frame));
    } else {
      const taken = memory.read32(this.page + FRAMES_TAKEN);
      if (taken < this.count) {
        memory.write32(this.page + FRAMES_TAKEN, taken + 1);
        frame = this.page - (taken + 1) * FRAME_BYTES;
      }
    }
    unlockLibrary(this.vcpu, this.page + FRAME_LOCK, flags);
    if (frame === 0)
      throw new RangeError(`domain '${this.vcpu.domain.name}' has no free frame left: give it more frames`);
    return frame;
  }

  /** Gives a frame back. @param frame - as {@link take} returned it */
  give(frame: number): void {
    const { memory } = this.vcpu;
    const flags = lockLibrary(this.vcpu, this.page + FRAME_LOCK);
    memory.write32(frame, memory.read32(this.page + FRAME_FREE));
    memory.write32(this.page + FRAME_FREE, frame);
    unlockLibrary(this.vcpu, this.page + FRAME_LOCK, flags);
  }
}
