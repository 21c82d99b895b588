/**
 * Ports as bare bits under either event-channel ABI, for kernels that are written out by hand, such as those of
 * examples/races: each method is the access or two that its name says, and keeps no protocol. {@link Events} is what a kernel
 * should use.
 *
 * Leaves out: 2-level ports from 2,048 on (the upper half of a 64-bit selector), FIFO ports from 1,024 on (further pages of the
 * event array).
 */
import { FIFO_MASKS } from '../abi';
import { Word32 } from '../memory/fields';
import type { Memory } from '../memory/memory';
import { CONTROL_HEAD, fifoPlaces, LOCAL_HEAD, switchOver, takeOff } from './fifo-area';
import { memoryEnd } from './kernel-area';
import { type BitmapsOf, PortWords, portBit, portWord } from './port-words';
import type { EventAbi, Hypercalls, Vcpu } from './vcpu';

const PENDING = FIFO_MASKS.PENDING | 0;
const { LINK, MASKED } = FIFO_MASKS;

/** One port's bit in a word that it shares with others. */
export class PortBit {
  constructor(
    private readonly memory: Memory,
    /** Of the word. */
    readonly address: number,
    readonly bit: number,
  ) {}

  /** A plain read. */
  isSet(): boolean {
    return (this.memory.read32(this.address) & this.bit) !== 0;
  }

  /** Returns whether it was set already. Full barrier. */
  set(): boolean {
    return (this.memory.or32(this.address, this.bit) & this.bit) !== 0;
  }

  /** Returns whether it was set. Full barrier. */
  clear(): boolean {
    return (this.memory.and32(this.address, ~this.bit) & this.bit) !== 0;
  }
}

/** The bits that all vCPUs of a domain share. */
export interface PortBits {
  pending(port: number): PortBit;
  mask(port: number): PortBit;
}

/** A vCPU's ports. Its words are in memory; the object never changes. */
export interface BarePorts extends PortBits {
  /**
   * What has been announced to this vCPU: its selector, a bit per word of the bitmaps (2-level), or the ready bits of its
   * queues (FIFO).
   */
  readonly announced: Word32;
  /**
   * Calls `visit` for each port behind what was taken from {@link announced} that is pending and not masked. The pending bit is
   * for `visit` to clear. Under the FIFO ABI the port has been taken off its queue.
   */
  visit(taken: number, visit: (port: number) => void): void;
  /**
   * Announces a port that was found pending after its mask bit was cleared. 2-level: to this vCPU, which the port has to be
   * bound to. FIFO: by hypercall, since only the hypervisor puts events on queues.
   */
  announce(port: number): void;
}

class TwoLevelBits implements PortBits {
  protected readonly words: PortWords;

  constructor(
    protected readonly memory: Memory,
    domain: BitmapsOf,
  ) {
    this.words = new PortWords(domain);
  }

  pending(port: number): PortBit {
    return new PortBit(this.memory, portWord(this.words.pending, port), portBit(port));
  }

  mask(port: number): PortBit {
    return new PortBit(this.memory, portWord(this.words.mask, port), portBit(port));
  }
}

class BareTwoLevelPorts extends TwoLevelBits implements BarePorts {
  constructor(private readonly vcpu: Vcpu) {
    super(vcpu.memory, { abi: vcpu.domain.abi, sharedInfo: vcpu.sharedInfo });
  }

  get announced(): Word32 {
    return this.vcpu.info.evtchn_pending_sel.lo;
  }

  visit(taken: number, visit: (port: number) => void): void {
    const { wordShift } = this.words;
    for (let left = taken; left !== 0; left &= left - 1) {
      const first = (31 - Math.clz32(left & -left)) << wordShift;
      for (let port = first; port < first + (1 << wordShift); port += 32) this.visitHalf(port, visit);
    }
  }

  announce(port: number): void {
    const bit = 1 << (port >>> this.words.wordShift);
    if ((this.announced.or(bit) & bit) === 0) this.vcpu.info.evtchn_upcall_pending.write(1);
  }

  private visitHalf(first: number, visit: (port: number) => void): void {
    const { memory, words } = this;
    const pending = memory.read32(portWord(words.pending, first));
    if (pending === 0) return;
    const active = pending & ~memory.read32(portWord(words.mask, first));
    for (let left = active; left !== 0; left &= left - 1) visit(first + 31 - Math.clz32(left & -left));
  }
}

class FifoBits implements PortBits {
  constructor(
    protected readonly memory: Memory,
    protected readonly array: number,
  ) {}

  pending(port: number): PortBit {
    return new PortBit(this.memory, this.array + port * 4, PENDING);
  }

  mask(port: number): PortBit {
    return new PortBit(this.memory, this.array + port * 4, MASKED);
  }
}

class BareFifoPorts extends FifoBits implements BarePorts {
  readonly announced: Word32;
  private readonly block: number;

  constructor(private readonly vcpu: Vcpu) {
    const { maxPort, vcpus } = vcpu.domain;
    const places = fifoPlaces(vcpus, memoryEnd(vcpu.domain), maxPort);
    super(vcpu.memory, places.array);
    this.block = places.blockOf(vcpu.id);
    this.announced = new Word32(vcpu.memory, this.block);
  }

  visit(taken: number, visit: (port: number) => void): void {
    for (let left = taken; left !== 0; left &= left - 1) this.visitQueue(31 - Math.clz32(left & -left), visit);
  }

  announce(port: number): void {
    this.vcpu.hypercall.evtchn.unmask(port);
  }

  /** See `fifo-dispatch.ts` for the heads. */
  private visitQueue(queue: number, visit: (port: number) => void): void {
    const { block, memory } = this;
    const localHead = block + LOCAL_HEAD + queue * 4;
    for (let next = -1; next !== 0; ) {
      const port = memory.read32(localHead) || memory.read32(block + CONTROL_HEAD + queue * 4);
      const found = takeOff(memory, this.array + port * 4);
      next = found & LINK;
      memory.write32(localHead, next);
      if ((found & (PENDING | MASKED)) === PENDING) visit(port);
    }
  }
}

/** A domain as the toolstack sees it. */
export interface BootingDomain extends BitmapsOf {
  readonly vcpus: number;
  readonly memory: Memory;
  readonly hypercall: Hypercalls;
  readonly events: EventAbi;
  readonly maxPort: number;
  readonly frames: number;
}

/**
 * In a scenario's set-up: what the early boot of a kernel does about events. Puts the domain under the event-channel ABI that the
 * scenario has chosen for it. Mask bits are set afterwards: none is carried over.
 */
export function bootPorts(domain: BootingDomain): PortBits {
  const { events, hypercall, maxPort, memory, vcpus } = domain;
  if (events === '2l') return new TwoLevelBits(memory, domain);
  const places = fifoPlaces(vcpus, memoryEnd(domain), maxPort);
  switchOver({ memory, hypercall, vcpus, places });
  return new FifoBits(memory, places.array);
}

/** The ports of a vCPU whose domain has been through {@link bootPorts}. */
export function barePorts(vcpu: Vcpu): BarePorts {
  return vcpu.domain.events === 'fifo' ? new BareFifoPorts(vcpu) : new BareTwoLevelPorts(vcpu);
}
