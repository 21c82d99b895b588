/**
 * Where the library keeps what the FIFO ABI needs: below the kernel blocks a block per vCPU with its control block, under
 * them some words of the domain's, and under these the event array, in one piece with room for every port the domain may
 * have.
 *
 * Pages of the array are given to the hypervisor one by one, when ports come to need them. A word is usable for the
 * library's own side before that.
 */
import { FIFO, FIFO_MASKS } from '../abi';
import { type FieldLayout, type StructLayout, structLayout } from '../abi/struct';
import type { Memory } from '../memory/memory';
import type { NamedRange } from '../memory/names';
import { irqRestore, irqSave } from './irq';
import { KERNEL_BLOCK, memoryEnd } from './kernel-area';
import type { Hypercalls, Vcpu } from './vcpu';

const FRAME_BYTES = 4096;
const WORDS_PER_PAGE = FRAME_BYTES / 4;
const { LINK, LINKED } = FIFO_MASKS;

/** A vCPU's block. Its size divides that of a frame, so the control block does not cross one. */
export const FIFO_BLOCK: StructLayout = structLayout('x86_64', 'fifo_block', {
  ready: 'uint32',
  _rsvd: 'uint32',
  head: { type: 'uint32', count: FIFO.EVTCHN_FIFO_MAX_QUEUES },
  pad0: { type: 'uint32', count: 14 },
  /** The owner's. The next port of each queue; 0: ask the control block. */
  local_head: { type: 'uint32', count: FIFO.EVTCHN_FIFO_MAX_QUEUES },
  pad1: { type: 'uint32', count: 16 },
});

/** The domain's words. */
const FIFO_SHARED: StructLayout = structLayout('x86_64', 'fifo_shared', {
  /** 1: somebody adds a page. */
  lock: 'uint32',
  /** Pages of the array that the hypervisor has. Not 0: the domain is on the FIFO ABI, and every vCPU has its block. */
  pages: 'uint32',
  /** vCPUs that are passing an event on, see `fifo-dispatch.ts`. */
  forwarders: 'uint32',
  /** 1: pages are added with every port masked. */
  masked: 'uint32',
});

function offsetOf({ fields }: StructLayout, name: string): number {
  return (fields[name] as FieldLayout).offset;
}

export const CONTROL_HEAD = offsetOf(FIFO_BLOCK, 'head');
export const LOCAL_HEAD = offsetOf(FIFO_BLOCK, 'local_head');
const LOCK = offsetOf(FIFO_SHARED, 'lock');
const PAGES = offsetOf(FIFO_SHARED, 'pages');
const FORWARDERS = offsetOf(FIFO_SHARED, 'forwarders');
const MASKED = offsetOf(FIFO_SHARED, 'masked');

/** Frames of the event array of a domain that may have ports up to a number. */
export function eventArrayFrames(maxPort: number): number {
  return Math.ceil((Math.min(maxPort, FIFO.EVTCHN_FIFO_NR_CHANNELS - 1) + 1) / WORDS_PER_PAGE);
}

/** Addresses of the area's parts, by what a domain is like. */
export function fifoPlaces(vcpus: number, memoryBytes: number, maxPort: number) {
  const blocks = memoryBytes - vcpus * KERNEL_BLOCK.size;
  const shared = blocks - (vcpus + 1) * FIFO_BLOCK.size;
  const array = (Math.floor(shared / FRAME_BYTES) - eventArrayFrames(maxPort)) * FRAME_BYTES;
  return { blockOf: (id: number) => blocks - (id + 1) * FIFO_BLOCK.size, shared, array };
}

/** Names for the library's own words in the area, for traces. The rest has its names from where it is registered. */
export function fifoRanges(vcpus: number, memoryBytes: number, maxPort: number): NamedRange[] {
  const places = fifoPlaces(vcpus, memoryBytes, maxPort);
  return [
    { name: 'fifo', address: places.shared, layout: FIFO_SHARED },
    ...Array.from({ length: vcpus }, (_, id) => ({
      name: `fifo_block[${id}]`,
      address: places.blockOf(id),
      layout: FIFO_BLOCK,
    })),
  ];
}

type FifoPlaces = ReturnType<typeof fifoPlaces>;

/** A domain that is about to be switched over. */
interface SwitchingDomain {
  readonly memory: Memory;
  readonly hypercall: Pick<Hypercalls, 'evtchn'>;
  readonly vcpus: number;
  readonly places: FifoPlaces;
}

/**
 * Switches the domain over, with the control blocks of all vCPUs, since the hypervisor drops events of a vCPU that has none, and
 * with the first page of the array. Nobody else does so meanwhile.
 */
export function switchOver({ memory, hypercall, vcpus, places }: SwitchingDomain): void {
  for (let id = 0; id < vcpus; id++) {
    const block = places.blockOf(id);
    hypercall.evtchn.initControl(Math.floor(block / FRAME_BYTES), block % FRAME_BYTES, id);
  }
  hypercall.evtchn.expandArray(places.array / FRAME_BYTES);
  memory.store32(places.shared + PAGES, 1);
}

/**
 * Takes an event off its queue; returns its word as it was. The hypervisor changes it meanwhile: it sets PENDING, and links
 * another event to it.
 */
export function takeOff(memory: Memory, word: number): number {
  let seen = memory.read32(word);
  for (;;) {
    const found = memory.compareExchange32(word, seen, seen & ~(LINKED | LINK));
    if (found === seen) return found;
    seen = found;
  }
}

/** One vCPU's view of the area. Immutable. */
export class FifoArea {
  /** Address of this vCPU's block, which begins with its control block. */
  readonly block: number;
  /** Address of the word of port 0. */
  readonly array: number;
  /** Address of the number of vCPUs that are passing an event on. */
  readonly forwarders: number;
  private readonly memory: Memory;
  private readonly shared: number;
  private readonly places: FifoPlaces;

  constructor(private readonly vcpu: Vcpu) {
    const { maxPort, vcpus } = vcpu.domain;
    const places = fifoPlaces(vcpus, memoryEnd(vcpu.domain), maxPort);
    this.memory = vcpu.memory;
    this.block = places.blockOf(vcpu.id);
    this.places = places;
    this.array = places.array;
    this.shared = places.shared;
    this.forwarders = places.shared + FORWARDERS;
  }

  /** Address of a port's event word. */
  wordOf(port: number): number {
    return this.array + port * 4;
  }

  /** Switches the domain over, unless that is done. */
  enter(): void {
    if (this.memory.load32(this.shared + PAGES) !== 0) return;
    const flags = this.lock();
    if (this.memory.load32(this.shared + PAGES) === 0) {
      const { memory, places, vcpu } = this;
      switchOver({ memory, hypercall: vcpu.hypercall, vcpus: vcpu.domain.vcpus, places });
    }
    this.unlock(flags);
  }

  /** Sees to it that the hypervisor knows the port's word. */
  reach(port: number): void {
    const { memory, shared } = this;
    while (port >= memory.load32(shared + PAGES) * WORDS_PER_PAGE) {
      const flags = this.lock();
      if (port >= memory.load32(shared + PAGES) * WORDS_PER_PAGE) this.addPage();
      this.unlock(flags);
    }
  }

  /** Masks the words of all ports, those of pages that are added later included. */
  maskAll(): void {
    const flags = this.lock();
    this.memory.store32(this.shared + MASKED, 1);
    for (let page = 0; page < this.memory.load32(this.shared + PAGES); page++) this.maskPage(page);
    this.unlock(flags);
  }

  /** Precondition: the lock held. The page is counted when the hypervisor has it. */
  private addPage(): void {
    const { memory, shared } = this;
    const page = memory.load32(shared + PAGES);
    if (memory.load32(shared + MASKED) !== 0) this.maskPage(page);
    this.vcpu.hypercall.evtchn.expandArray(this.array / FRAME_BYTES + page);
    memory.store32(shared + PAGES, page + 1);
  }

  private maskPage(page: number): void {
    const first = this.array + page * FRAME_BYTES;
    for (let word = first; word < first + FRAME_BYTES; word += 4) this.memory.or32(word, FIFO_MASKS.MASKED);
  }

  /** With upcalls disabled: a handler that wants the lock must not interrupt its holder. */
  private lock(): number {
    const flags = irqSave(this.vcpu);
    while (this.memory.compareExchange32(this.shared + LOCK, 0, 1) !== 0) this.vcpu.relax();
    return flags;
  }

  private unlock(flags: number): void {
    this.memory.store32(this.shared + LOCK, 0);
    irqRestore(this.vcpu, flags);
  }
}
