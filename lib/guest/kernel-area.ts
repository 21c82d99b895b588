/**
 * Where the guest kernel library keeps its mutable words: one block per vCPU, stacked downwards from the end of
 * the domain's memory, so that a block's address depends on the vCPU's number alone and nothing has to be
 * allocated or agreed on at boot. A domain that uses the library leaves these frames to it (a frame for 4 vCPUs);
 * {@link checkKernelArea} makes sure that the scenario's named words end below.
 *
 * It stands for the static per-CPU variables of a kernel image. All blocks are zero at the start of day, and zero
 * is the right initial value of every word in them.
 */
import { type FieldLayout, type StructLayout, structLayout } from '../abi';
import type { NamedRange } from '../memory/names';
import type { Vcpu, Word } from './vcpu';

const FRAME_BYTES = 4096;

/** Timers a vCPU may have. */
export const MAX_TIMERS = 16;

/** A vCPU's block. Its size divides that of a frame, so nothing in it crosses one. */
export const KERNEL_BLOCK: StructLayout = structLayout('x86_64', 'kernel', {
  /** Bit p: this vCPU serves port p. Atomics only: another vCPU changes it when it moves a port here. */
  port_filter: { type: 'uint32', count: 128 },
  /** Room for the vcpu_info of a vCPU that has none in shared_info. */
  vcpu_info: { type: 'uint32', count: 16 },

  // A cache line that only the owner touches.
  /** The port at which the next scan begins: the one after the port served last. */
  next_port: 'uint32',
  /** Port of VIRQ_TIMER; 0: not bound. */
  timer_port: 'uint32',
  /** Timers handed out. */
  timer_count: 'uint32',
  /** First timer of the queue, its number plus 1; 0: none is armed. */
  timer_head: 'uint32',
  pad0: { type: 'uint32', count: 12 },

  // A cache line that the owner writes and other vCPUs read.
  /** IPI port that ends this vCPU's block(); 0: none yet. */
  wake_port: 'uint32',
  /** Address of the completion it waits for; 0: none. */
  awaited: 'uint32',
  /** IPI port, masked for ever, that ends its SCHEDOP_poll; 0: none yet. */
  kick_port: 'uint32',
  /** Address of the lock it sleeps for; 0: none. */
  lock_wanted: 'uint32',
  /** Its ticket for that lock. Means nothing while lock_wanted is 0. */
  ticket_wanted: 'uint32',
  /** Of vCPU 0: ticket locks of the writers and of the readers of the domain's console. */
  console_out_lock: 'uint32',
  console_in_lock: 'uint32',
  pad1: { type: 'uint32', count: 9 },

  // The timers, by number. The owner's.
  /** System time in ns; 0: not armed. */
  timer_deadline: { type: 'uint64', count: MAX_TIMERS },
  /** Nanoseconds; 0: one-shot. */
  timer_period: { type: 'uint64', count: MAX_TIMERS },
  /** The timer after it in the queue, its number plus 1; 0: the last. */
  timer_next: { type: 'uint32', count: MAX_TIMERS },
});

/** Offset in the block of a field, or of the first element of an array. */
function offsetOf(name: string): number {
  return (KERNEL_BLOCK.fields[name] as FieldLayout).offset;
}

export const PORT_FILTER = offsetOf('port_filter');
export const VCPU_INFO = offsetOf('vcpu_info');
export const NEXT_PORT = offsetOf('next_port');
export const TIMER_PORT = offsetOf('timer_port');
export const TIMER_COUNT = offsetOf('timer_count');
export const TIMER_HEAD = offsetOf('timer_head');
export const WAKE_PORT = offsetOf('wake_port');
export const AWAITED = offsetOf('awaited');
export const KICK_PORT = offsetOf('kick_port');
export const LOCK_WANTED = offsetOf('lock_wanted');
export const TICKET_WANTED = offsetOf('ticket_wanted');
export const CONSOLE_OUT_LOCK = offsetOf('console_out_lock');
export const CONSOLE_IN_LOCK = offsetOf('console_in_lock');
export const TIMER_DEADLINE = offsetOf('timer_deadline');
export const TIMER_PERIOD = offsetOf('timer_period');
export const TIMER_NEXT = offsetOf('timer_next');

/** First address after the domain's memory, where its grant table begins. */
export function memoryEnd({ frames }: { readonly frames: number }): number {
  return frames * FRAME_BYTES;
}

/**
 * Address of a vCPU's block.
 * @param id - below the domain's number of vCPUs; not checked
 */
export function kernelBlock(vcpu: Vcpu, id: number = vcpu.id): number {
  return memoryEnd(vcpu.domain) - (id + 1) * KERNEL_BLOCK.size;
}

/** First address after the domain's named words. */
export function wordsEnd(vcpu: Vcpu): number {
  const words = Object.values(vcpu.words as Record<string, Word | readonly Word[]>).flat();
  return words.reduce((end, word) => Math.max(end, word.address + 4), vcpu.domain.wordsAddress);
}

/**
 * Refuses a domain whose memory is too small for its named words and the blocks together.
 * @param areaStart - where the library's words begin, if it uses more than the blocks
 * @throws RangeError that says how many frames it takes
 */
export function checkKernelArea(vcpu: Vcpu, areaStart: number = kernelBlock(vcpu, vcpu.domain.vcpus - 1)): void {
  const end = wordsEnd(vcpu);
  if (end <= areaStart) return;
  const frames = Math.ceil((end + memoryEnd(vcpu.domain) - areaStart) / FRAME_BYTES);
  throw new RangeError(`the kernel library needs room above the named words: give the domain ${frames} frames`);
}

/** Names for the blocks of a domain, for traces: `kernel[0].port_filter[2] port 66`. */
export function kernelRanges(vcpus: number, memoryBytes: number): NamedRange[] {
  return Array.from({ length: vcpus }, (_, id) => ({
    name: `kernel[${id}]`,
    address: memoryBytes - (id + 1) * KERNEL_BLOCK.size,
    layout: KERNEL_BLOCK,
    bits: { port_filter: 'port' as const },
  }));
}
