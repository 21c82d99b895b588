/**
 * The window of a domain's address space in which it maps other domains' frames, and the words that say what is mapped: one
 * per page of the window, 0 for nothing.
 *
 * The window begins above all addresses that are positive as signed 32-bit numbers. The check that every access makes of its
 * address anyway tells those of the window from the others, so an access to the domain's own memory costs what it would
 * cost without a window.
 *
 * It stands for the page table entries that Xen writes for a paravirtualised guest, which has page tables instead.
 *
 * DIFFERS: unmapping does not wait for accesses of other vCPUs of the domain that are under way, as Xen's flush of the TLBs does:
 * an access that found the mapping may take place just after it is gone.
 */

/** First address of the window, in every domain. */
export const WINDOW_ADDRESS = 0x8000_0000;
export const WINDOW_PAGE_BYTES = 4096;
const PAGE_SHIFT = 12;

/** In a word: something is mapped. */
const MAPPED = 1;
const WRITABLE = 2;
const DOMAIN_SHIFT = 2;
const DOMAIN_MASK = 0xff;
const FRAME_SHIFT = 10;

/**
 * The word for a frame.
 * @param domainIndex - position of its domain in the machine, below 256
 * @param frame - below 2^22
 */
export function mappingWord(domainIndex: number, frame: number, writable: boolean): number {
  return (frame << FRAME_SHIFT) | (domainIndex << DOMAIN_SHIFT) | (writable ? WRITABLE : 0) | MAPPED;
}

/** Whether the word lets an access through. */
export function mappingAllows(word: number, writes: boolean): boolean {
  return (word & MAPPED) !== 0 && (!writes || (word & WRITABLE) !== 0);
}

/** Whether two words name the same frame, whatever may be done with it. */
export function sameFrame(word: number, other: number): boolean {
  return ((word ^ other) & ~WRITABLE) === 0;
}

export function mappedDomainIndex(word: number): number {
  return (word >>> DOMAIN_SHIFT) & DOMAIN_MASK;
}

/** Address, in that domain's memory, of what a window address leads to. */
export function mappedAddress(word: number, address: number): number {
  return (word >>> FRAME_SHIFT) * WINDOW_PAGE_BYTES + (address & (WINDOW_PAGE_BYTES - 1));
}

/** Number of a page of the window. Not checked. */
export function windowPage(address: number): number {
  return (address - WINDOW_ADDRESS) >>> PAGE_SHIFT;
}

/** Whether all of it lies in a window of so many pages; takes anything. */
export function inWindow(address: number, length: number, pages: number): boolean {
  const end = WINDOW_ADDRESS + pages * WINDOW_PAGE_BYTES;
  return Number.isInteger(address) && address >= WINDOW_ADDRESS && length >= 0 && address + length <= end;
}

/** What ends a domain that uses a window address with nothing behind it, or writes where it may only read. */
export function describeFault(address: number, writes: boolean, word: number): string {
  const what = writes ? 'write to' : 'read of';
  const why = mappingAllows(word, false) ? 'the grant is mapped read-only' : 'no grant is mapped there';
  return `page fault: ${what} 0x${address.toString(16)}: ${why}`;
}
