/**
 * Ports under the 2-level ABI: bits of shared_info, and of this vCPU's filter of the ports it serves, a word that others can
 * see.
 *
 * @source Linux, drivers/xen/events/events_2l.c
 */
import type { Memory } from '../memory/memory';
import { forceUpcall, irqEnabled } from './irq';
import { kernelBlock, PORT_FILTER, TIMER_PORT } from './kernel-area';
import type { Handlers, PortControl } from './port-control';
import { clearPort, PortWords, portWord, setPort, testPort } from './port-words';
import { UpcallDispatcher } from './upcall';
import type { Vcpu } from './vcpu';

export class TwoLevelPorts implements PortControl {
  private readonly memory: Memory;
  private readonly words: PortWords;
  private readonly filter: number;
  private readonly timerPort: number;

  constructor(private readonly vcpu: Vcpu) {
    const block = kernelBlock(vcpu);
    this.memory = vcpu.memory;
    this.words = new PortWords({ abi: vcpu.domain.abi, sharedInfo: vcpu.sharedInfo });
    this.filter = block + PORT_FILTER;
    this.timerPort = block + TIMER_PORT;
  }

  maskAll(): void {
    for (let port = 0; port < this.words.count; port += 32) this.memory.store32(portWord(this.words.mask, port), -1);
  }

  /** All ports have their bits. */
  prepare(): void {}

  mask(port: number): boolean {
    return setPort(this.memory, this.words.mask, port);
  }

  /**
   * A port served elsewhere takes the hypercall, since only the owner may touch a selector. Here: clear the mask bit,
   * which is a full barrier, then look at the pending bit. A sender sets pending, then looks at the mask: one of the
   * two sees the other.
   */
  unmask(port: number): void {
    const { vcpu, memory } = this;
    if (!testPort(memory, this.filter, port)) {
      vcpu.hypercall.evtchn.unmask(port);
      return;
    }
    clearPort(memory, this.words.mask, port);
    if (testPort(memory, this.words.pending, port)) this.announce(port);
  }

  isPending(port: number): boolean {
    return testPort(this.memory, this.words.pending, port);
  }

  isMasked(port: number): boolean {
    return testPort(this.memory, this.words.mask, port);
  }

  clearPending(port: number): boolean {
    return clearPort(this.memory, this.words.pending, port);
  }

  setPending(port: number): void {
    setPort(this.memory, this.words.pending, port);
  }

  attach(port: number): void {
    setPort(this.memory, this.filter, port);
  }

  detach(port: number): void {
    clearPort(this.memory, this.filter, port);
    if (this.memory.read32(this.timerPort) === port) this.memory.store32(this.timerPort, 0);
  }

  /** The old vCPU's filter first: it must not serve the port any more when the new one does. */
  handOver(port: number, vcpuId: number): void {
    clearPort(this.memory, this.filter, port);
    setPort(this.memory, kernelBlock(this.vcpu, vcpuId) + PORT_FILTER, port);
  }

  attachTimer(port: number): void {
    this.memory.store32(this.timerPort, port);
  }

  dispatcher(handlers: Handlers): () => void {
    const dispatcher = new UpcallDispatcher(this.vcpu, this.words, handlers);
    return () => dispatcher.dispatch();
  }

  /**
   * What the hypervisor would have done, had the port not been masked: selector bit, then, if it was clear, upcall. A
   * handler that gets in between makes it a spurious upcall, no worse.
   */
  private announce(port: number): void {
    const { vcpu, words } = this;
    const word = port >>> words.wordShift;
    const bit = 1 << (word & 31);
    const { evtchn_upcall_pending, evtchn_pending_sel } = vcpu.info;
    const half = evtchn_pending_sel.word(word >>> 5);
    if ((half.or(bit) & bit) !== 0) return;
    evtchn_upcall_pending.write(1);
    if (irqEnabled(vcpu)) forceUpcall(vcpu);
  }
}
