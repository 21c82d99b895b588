/**
 * Ports under the FIFO ABI: bits of event words. Which vCPU serves a port is the hypervisor's affair alone, since it puts
 * each event on the queue of one vCPU.
 *
 * @source Linux, drivers/xen/events/events_fifo.c
 */
import { FIFO, FIFO_MASKS } from '../abi';
import type { Memory } from '../memory/memory';
import { FifoArea } from './fifo-area';
import { FifoDispatcher } from './fifo-dispatch';
import { checkKernelArea } from './kernel-area';
import type { Handlers, PortControl } from './port-control';
import type { Vcpu } from './vcpu';

const PENDING = FIFO_MASKS.PENDING | 0;
const { BUSY, MASKED } = FIFO_MASKS;

export class FifoPorts implements PortControl {
  private readonly memory: Memory;
  private readonly area: FifoArea;

  constructor(private readonly vcpu: Vcpu) {
    this.memory = vcpu.memory;
    this.area = new FifoArea(vcpu);
    checkKernelArea(vcpu, this.area.array);
    this.area.enter();
  }

  maskAll(): void {
    this.area.maskAll();
  }

  prepare(port: number): void {
    this.area.reach(port);
  }

  /**
   * A vCPU that is passing the port's event on (`fifo-dispatch.ts`) ends by clearing MASKED. It says so first, then looks at
   * MASKED; here MASKED is set first, then looked whether anybody says so: one of the two sees the other.
   */
  mask(port: number): boolean {
    const { area, memory } = this;
    const word = area.wordOf(port);
    const wasMasked = (memory.or32(word, MASKED) & MASKED) !== 0;
    if (memory.load32(area.forwarders) !== 0) this.maskAfterForwarding(word);
    return wasMasked;
  }

  /**
   * If the event is pending, MASKED is left for the hypervisor to clear, which then puts the event on its queue: only it may.
   * Else it is cleared here, provided that the word is still the same: an event that comes before that shows in the word, one
   * that comes after it finds MASKED clear. While BUSY is set the hypervisor is linking the word to another and must not be
   * disturbed.
   */
  unmask(port: number): void {
    const { memory, vcpu } = this;
    const word = this.area.wordOf(port);
    for (;;) {
      const seen = memory.load32(word);
      if ((seen & MASKED) === 0) return;
      if ((seen & PENDING) !== 0) {
        vcpu.hypercall.evtchn.unmask(port);
        return;
      }
      if ((seen & BUSY) !== 0) vcpu.relax();
      else if (memory.compareExchange32(word, seen, seen & ~MASKED) === seen) return;
    }
  }

  isPending(port: number): boolean {
    return (this.memory.read32(this.area.wordOf(port)) & PENDING) !== 0;
  }

  isMasked(port: number): boolean {
    return (this.memory.read32(this.area.wordOf(port)) & MASKED) !== 0;
  }

  clearPending(port: number): boolean {
    return (this.memory.and32(this.area.wordOf(port), ~PENDING) & PENDING) !== 0;
  }

  setPending(port: number): void {
    this.memory.or32(this.area.wordOf(port), PENDING);
  }

  attach(): void {}

  detach(): void {}

  handOver(): void {}

  attachTimer(port: number): void {
    this.vcpu.hypercall.evtchn.setPriority(port, FIFO.EVTCHN_FIFO_PRIORITY_MAX);
  }

  dispatcher(handlers: Handlers): () => void {
    const dispatcher = new FifoDispatcher(this.vcpu, this.area, handlers);
    return () => dispatcher.dispatch();
  }

  private maskAfterForwarding(word: number): void {
    while (this.memory.load32(this.area.forwarders) !== 0) this.vcpu.relax();
    this.memory.or32(word, MASKED);
  }
}
