/**
 * The words that carry ports: the bitmaps of shared_info, and the arithmetic from a port to its bit.
 *
 * The bitmaps are arrays of 32-bit words in every ABI; where an ABI's own words have 64 bits, these are their halves,
 * lower one first. Bits are changed by atomic read-modify-writes, always: the hypervisor and other vCPUs change
 * neighbouring bits of the same word at the same time.
 *
 * @source xen/include/public/xen.h (struct shared_info)
 */
import { ABI_CONSTANTS, type AbiName } from '../abi';
import type { Memory } from '../memory/memory';
import type { SharedInfoView } from '../memory/views';

/** Address of the 32-bit word that holds a port's bit. */
export function portWord(bitmap: number, port: number): number {
  return bitmap + ((port >>> 5) << 2);
}

/** The port's bit in that word. */
export function portBit(port: number): number {
  return 1 << (port & 31);
}

/** True if the port's bit is set. A plain read: a hint, unless something else orders it. */
export function testPort(memory: Memory, bitmap: number, port: number): boolean {
  return (memory.read32(portWord(bitmap, port)) & portBit(port)) !== 0;
}

/** Sets the port's bit; returns whether it was set already. Full barrier. */
export function setPort(memory: Memory, bitmap: number, port: number): boolean {
  return (memory.or32(portWord(bitmap, port), portBit(port)) & portBit(port)) !== 0;
}

/** Clears the port's bit; returns whether it was set. Full barrier. */
export function clearPort(memory: Memory, bitmap: number, port: number): boolean {
  return (memory.and32(portWord(bitmap, port), ~portBit(port)) & portBit(port)) !== 0;
}

/** What tells where a domain's bitmaps are. */
export interface BitmapsOf {
  readonly abi: string;
  readonly sharedInfo: SharedInfoView;
}

/** The domain's port bitmaps and the shape of its ABI. Immutable. */
export class PortWords {
  /** Address of evtchn_pending. */
  readonly pending: number;
  /** Address of evtchn_mask. */
  readonly mask: number;
  /** Ports the bitmaps have room for: a power of two. */
  readonly count: number;
  /** log2 of the number of ports behind one selector bit: 6, or 5 on x86_32. */
  readonly wordShift: number;

  constructor({ abi, sharedInfo }: BitmapsOf) {
    const constants = ABI_CONSTANTS[abi as AbiName];
    this.pending = sharedInfo.evtchn_pending.address;
    this.mask = sharedInfo.evtchn_mask.address;
    this.count = constants.EVTCHN_2L_NR_CHANNELS;
    this.wordShift = Math.log2(constants.BITS_PER_EVTCHN_WORD);
  }
}
