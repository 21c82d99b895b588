/**
 * The upcall under the FIFO ABI: takes events off this vCPU's queues, the highest priority first, in the order in which they
 * came.
 *
 * One round: store 0 to evtchn_upcall_pending, take the ready bits by an exchange with 0, serve one event of the first queue
 * that is ready, look for further ready bits, and so on; again until evtchn_upcall_pending reads 0. So an event of a higher
 * priority is served next, however many of a lower one wait.
 *
 * Clear before take, as in the 2-level ABI: a sender sets the ready bit first and, finding it clear, the pending byte second.
 *
 * A queue's next port is kept here (`local_head`), as the LINK of the one taken off last; where that was 0 the next one is in
 * the control block, written before the ready bit was set. An event is taken off (LINKED and LINK cleared, at once) before
 * its PENDING is looked at: one raised before that is in the word that was found, one raised after it is put on a queue
 * anew.
 *
 * Passing on. An event may turn up on a vCPU that does not serve its port any more: the port was moved while the event was on
 * the queue, and the hypervisor, finding it linked, has left it there. Whoever takes it off asks the hypervisor to put it on
 * the queue of the vCPU that the port is bound to now, by an unmask. An event that is bound here and has no handler yet stays
 * pending: the unmask that follows the handler finds it.
 *
 * @source Linux, drivers/xen/events/events_fifo.c; passing on is our own, since handlers belong to vCPUs here
 */
import { DOMID_SELF, FIFO_MASKS } from '../abi';
import type { Memory } from '../memory/memory';
import { CONTROL_HEAD, type FifoArea, LOCAL_HEAD, takeOff } from './fifo-area';
import type { Handlers } from './port-control';
import type { Vcpu } from './vcpu';

const PENDING = FIFO_MASKS.PENDING | 0;
const { LINK, MASKED } = FIFO_MASKS;

/** Serves one vCPU's events. Its words are in the vCPU's block of the area; the table of handlers is code. */
export class FifoDispatcher {
  private readonly memory: Memory;
  private readonly control: number;
  private readonly localHeads: number;

  /** @param handlers - borrowed: the owner changes it between accesses */
  constructor(
    private readonly vcpu: Vcpu,
    private readonly area: FifoArea,
    private readonly handlers: Handlers,
  ) {
    this.memory = vcpu.memory;
    this.control = area.block;
    this.localHeads = area.block + LOCAL_HEAD;
  }

  /** The event callback. Allocates nothing. */
  dispatch(): void {
    const { memory, control, vcpu } = this;
    do {
      vcpu.info.evtchn_upcall_pending.write(0);
      let ready = memory.exchange32(control, 0);
      while (ready !== 0) {
        const queue = 31 - Math.clz32(ready & -ready);
        if (this.serveNext(queue)) ready &= ~(1 << queue);
        // A bit that this read does not see comes with evtchn_upcall_pending.
        if (memory.read32(control) !== 0) ready |= memory.exchange32(control, 0);
      }
    } while (vcpu.info.evtchn_upcall_pending.read() !== 0);
  }

  /** Takes the next event off a queue and serves it; returns whether it was the last. */
  private serveNext(queue: number): boolean {
    const { memory } = this;
    const localHead = this.localHeads + queue * 4;
    const port = memory.read32(localHead) || memory.read32(this.control + CONTROL_HEAD + queue * 4);
    const word = this.area.wordOf(port);
    const found = takeOff(memory, word);
    const next = found & LINK;
    memory.write32(localHead, next);
    if ((found & (PENDING | MASKED)) === PENDING) this.serve(port, word);
    return next === 0;
  }

  /** Clears PENDING, then runs the handler: an event raised while it runs counts anew. */
  private serve(port: number, word: number): void {
    const handler = this.handlers[port];
    if (handler === undefined) {
      this.passOn(port, word);
    } else {
      this.memory.and32(word, ~PENDING);
      handler(port);
    }
  }

  /** For the order against a vCPU that masks the port meanwhile see {@link FifoPorts.mask}. */
  private passOn(port: number, word: number): void {
    const { area, memory, vcpu } = this;
    const { evtchn } = vcpu.hypercall;
    if (evtchn.status(DOMID_SELF, port).vcpu === vcpu.id) return;
    memory.add32(area.forwarders, 1);
    if ((memory.load32(word) & (PENDING | MASKED)) === PENDING) evtchn.unmask(port);
    memory.add32(area.forwarders, -1);
  }
}
