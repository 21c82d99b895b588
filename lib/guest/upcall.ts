/**
 * The upcall: which ports have events, in which order they are served, and why none is lost. The 2-level ABI's scan of
 * a Linux kernel.
 *
 * One round: store 0 to evtchn_upcall_pending, serve VIRQ_TIMER if it is active, take the whole selector by an
 * exchange with 0, walk the words it names; again until evtchn_upcall_pending reads 0.
 *
 * Clear before take: a sender sets the selector bit first and, finding it clear, the pending byte second. Either
 * the exchange still takes that bit, or the sender comes after it and its byte survives for the next round. The other
 * order could wipe out the byte of a bit not taken yet. The exchange is also the full barrier that the clear needs.
 * DIFFERS: a 64-bit selector is exchanged in two halves. Both come after the clear and each half has its own
 * test-and-set, so the argument holds for each.
 *
 * Active bits of a word are pending, not masked, and in this vCPU's filter of ports: the bitmaps belong to the whole
 * domain, and without the filter a vCPU would serve its neighbours' ports.
 *
 * Fairness: the scan starts at the port after the one served last and ends there, so a busy low port cannot starve
 * a high one. The word it starts in is visited twice, from that port up first and as a whole at the end; the bits of
 * a word are read once per visit. DIFFERS: the halves of a 64-bit word are read one after the other, the
 * upper one when the lower is done.
 *
 * @source Linux, drivers/xen/events/events_2l.c
 */
import type { Word32 } from '../memory/fields';
import type { Memory } from '../memory/memory';
import { kernelBlock, NEXT_PORT, PORT_FILTER, TIMER_PORT } from './kernel-area';
import type { Handlers } from './port-control';
import { clearPort, type PortWords, portBit } from './port-words';
import type { Vcpu } from './vcpu';

/** Index of the lowest set bit; `bits` must not be 0. */
function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

/** Serves one vCPU's events. Its words are in the vCPU's kernel block; the table of handlers is code. */
export class UpcallDispatcher {
  private readonly memory: Memory;
  private readonly filter: number;
  private readonly nextPort: number;
  private readonly timerPort: number;

  /** @param handlers - borrowed: the owner changes it between accesses */
  constructor(
    private readonly vcpu: Vcpu,
    private readonly ports: PortWords,
    private readonly handlers: Handlers,
  ) {
    const block = kernelBlock(vcpu);
    this.memory = vcpu.memory;
    this.filter = block + PORT_FILTER;
    this.nextPort = block + NEXT_PORT;
    this.timerPort = block + TIMER_PORT;
  }

  /** The event callback. Allocates nothing. */
  dispatch(): void {
    do {
      const { evtchn_upcall_pending, evtchn_pending_sel } = this.vcpu.info;
      evtchn_upcall_pending.write(0);
      this.serveTimer();
      const low = evtchn_pending_sel.lo.exchange(0);
      const high = this.takeHigh(evtchn_pending_sel.hi);
      if ((low | high) !== 0) this.scan(low, high);
    } while (this.vcpu.info.evtchn_upcall_pending.read() !== 0);
  }

  /**
   * The upper half of a 64-bit selector, usually empty. The read comes after the barrier of the first exchange: a bit that
   * it does not see was set after evtchn_upcall_pending was cleared, so its sender sets that again.
   */
  private takeHigh(half: Word32 | undefined): number {
    return half === undefined || half.read() === 0 ? 0 : half.exchange(0);
  }

  /** The timer goes ahead of everything, so that a flood of events cannot delay it. Its selector bit stays. */
  private serveTimer(): void {
    const port = this.memory.read32(this.timerPort);
    if (port !== 0 && (this.active(port >>> 5) & portBit(port)) !== 0) this.serve(port);
  }

  /** Walks the words whose bits are set in the selector that was taken, given in halves. */
  private scan(low: number, high: number): void {
    const next = this.memory.read32(this.nextPort);
    const start = next >>> this.ports.wordShift;
    // The selector bits above the starting word's.
    const lowAbove = start < 32 ? low & (-2 << start) : 0;
    const highAbove = start < 32 ? high : high & (-2 << (start - 32));
    const startBits = start < 32 ? low & (1 << start) : high & (1 << (start - 32));
    if (startBits !== 0) this.visitWord(start, next & ((1 << this.ports.wordShift) - 1));
    this.visitWords(lowAbove, 0);
    this.visitWords(highAbove, 32);
    this.visitWords(low & ~lowAbove, 0);
    this.visitWords(high & ~highAbove, 32);
  }

  /** Visits the words whose selector bits are set, ascending. @param base - number of the word bit 0 stands for */
  private visitWords(bits: number, base: number): void {
    for (let left = bits; left !== 0; left &= left - 1) this.visitWord(base + lowestBit(left), 0);
  }

  /** Serves the active ports of a word, from a bit up. */
  private visitWord(word: number, fromBit: number): void {
    if (this.ports.wordShift === 5) {
      this.visitHalf(word, fromBit);
      return;
    }
    if (fromBit < 32) this.visitHalf(word * 2, fromBit);
    this.visitHalf(word * 2 + 1, fromBit < 32 ? 0 : fromBit - 32);
  }

  private visitHalf(half: number, fromBit: number): void {
    const active = this.active(half) & (-1 << fromBit);
    for (let left = active; left !== 0; left &= left - 1) this.serve(half * 32 + lowestBit(left));
  }

  /**
   * Active ports of 32. Plain reads: the exchange of the selector ordered them after whatever the senders of the taken
   * bits did, and a bit set later announces itself anew.
   */
  private active(half: number): number {
    const { memory, ports } = this;
    const offset = half << 2;
    const pending = memory.read32(ports.pending + offset);
    if (pending === 0) return 0;
    return pending & ~memory.read32(ports.mask + offset) & memory.read32(this.filter + offset);
  }

  /**
   * Clears the pending bit, then runs the handler: an event raised while it runs counts anew. In the other order an
   * event raised after the handler's last look and before the clear would vanish.
   *
   * A port without a handler was unbound after its word was read, by a handler served before it. Its number may
   * already belong to somebody else, so nothing of it is touched.
   */
  private serve(port: number): void {
    const handler = this.handlers[port];
    if (handler === undefined) return;
    clearPort(this.memory, this.ports.pending, port);
    this.memory.write32(this.nextPort, (port + 1) & (this.ports.count - 1));
    handler(port);
  }
}
