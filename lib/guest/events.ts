/**
 * Event channels as a kernel uses them: bind a port to a handler on this vCPU, mask and unmask it, move it to
 * another vCPU, give it back.
 *
 * Two things are known of a port: its handler, in a table of this vCPU alone (handlers are code: each vCPU fills its
 * table as it runs its part of the guest), and the vCPU that serves it, as a bit of that vCPU's filter, a word that
 * others can see. What matters is the order of changes; each method argues for its own.
 *
 * Leaves out: counting the reasons for a mask. A mask bit has one owner: who masks a port for a while must not be
 * surprised by another who unmasks it.
 *
 * @source Linux, drivers/xen/events/events_base.c, events_2l.c
 */
import { VIRQ_CLASS, VIRQ_TIMER } from '../abi';
import type { Memory } from '../memory/memory';
import { placeVcpuInfo } from './boot';
import { forceUpcall, irqEnabled } from './irq';
import { checkKernelArea, kernelBlock, PORT_FILTER, TIMER_PORT } from './kernel-area';
import { clearPort, PortWords, portWord, setPort, testPort } from './port-words';
import { type EventHandler, UpcallDispatcher } from './upcall';
import type { Vcpu } from './vcpu';

/** One vCPU's event channels. Make one in the guest function, before upcalls are enabled. */
export class Events {
  private readonly memory: Memory;
  private readonly ports: PortWords;
  private readonly filter: number;
  private readonly handlers: (EventHandler | undefined)[] = [];

  /**
   * Registers this vCPU's event callback, and a vcpu_info if it has none.
   * @throws RangeError if the domain has too little memory for the library's words
   */
  constructor(readonly vcpu: Vcpu) {
    checkKernelArea(vcpu);
    this.memory = vcpu.memory;
    this.ports = new PortWords(vcpu);
    this.filter = kernelBlock(vcpu) + PORT_FILTER;
    const dispatcher = new UpcallDispatcher(vcpu, this.ports, this.handlers);
    vcpu.onUpcall(() => dispatcher.dispatch());
    if (vcpu.info.address === 0) placeVcpuInfo(vcpu);
  }

  /**
   * Masks every port of the domain: what a kernel does first on its boot vCPU, before any other runs, since all
   * ports start unmasked. It saves spurious upcalls from ports nobody has bound yet. It is not what keeps events from
   * being lost: see {@link bindEvtchn}.
   * @throws Error after a bind: nobody would unmask that port again
   */
  maskAll(): void {
    if (this.handlers.length > 0) throw new Error('maskAll: ports are masked before the first of them is bound');
    for (let port = 0; port < this.ports.count; port += 32) this.memory.store32(portWord(this.ports.mask, port), -1);
  }

  /**
   * A port that any vCPU of the domain may send to and that interrupts this one.
   * @returns the port
   * @throws HypercallError ENOSPC
   */
  bindIpi(handler: EventHandler): number {
    const port = this.vcpu.hypercall.evtchn.bindIpi(this.vcpu.id);
    this.open(port, handler);
    return port;
  }

  /**
   * A virtual interrupt. Per-vCPU ones (VIRQ_TIMER, VIRQ_DEBUG) are this vCPU's own; VIRQ_TIMER is served ahead of
   * all other ports.
   * @param virq - VIRQ_*
   * @returns the port
   * @throws HypercallError EEXIST: bound already; EBUSY: a global one that another domain handles; EINVAL, ENOSPC
   */
  bindVirq(virq: number, handler: EventHandler): number {
    const { vcpu } = this;
    if (VIRQ_CLASS[virq] !== 'vcpu') return this.bindEvtchn(vcpu.hypercall.evtchn.bindVirq(virq, 0), handler);
    const port = vcpu.hypercall.evtchn.bindVirq(virq, vcpu.id);
    if (virq === VIRQ_TIMER) this.memory.store32(kernelBlock(vcpu) + TIMER_PORT, port);
    this.open(port, handler);
    return port;
  }

  /**
   * A physical interrupt. The handler sends PHYSDEVOP_eoi when it has served the device: the line is silent until
   * then.
   * @param flags - BIND_PIRQ__*
   * @returns the port
   * @throws HypercallError EPERM, EEXIST: bound already; EBUSY: not shareable; EINVAL, ENOSPC, EOPNOTSUPP on Arm
   */
  bindPirq(pirq: number, handler: EventHandler, flags = 0): number {
    return this.bindEvtchn(this.vcpu.hypercall.evtchn.bindPirq(pirq, flags), handler);
  }

  /**
   * The near end of a channel whose far end another domain has allocated for this one. The handler runs once at
   * first without a cause: it stands for events that were sent before the ends were connected.
   * @returns the local port
   * @throws HypercallError ESRCH, EINVAL: that port is not waiting for this domain; ENOSPC
   */
  bindInterdomain(remoteDom: number, remotePort: number, handler: EventHandler): number {
    return this.bindEvtchn(this.vcpu.hypercall.evtchn.bindInterdomain(remoteDom, remotePort), handler);
  }

  /**
   * Serves a port that exists already (EVTCHNOP_alloc_unbound, or bound by the toolstack) on this vCPU.
   *
   * The port is masked until the handler stands and the filter lets it pass; the unmask looks at the pending bit once
   * more. An event that comes at any moment since the port exists is then delivered: its bit is still pending,
   * because nobody without a handler clears it. For a send that is under way while the port moves here from another
   * vCPU, see {@link rebind}.
   * @returns the port
   * @throws HypercallError EINVAL: not a port that can move to another vCPU (an IPI or a per-vCPU VIRQ cannot)
   */
  bindEvtchn(port: number, handler: EventHandler): number {
    this.vcpu.hypercall.evtchn.bindVcpu(port, this.vcpu.id);
    this.open(port, handler);
    return port;
  }

  /**
   * Gives up a port that this vCPU serves. Mask, forget, close, in this order: once it is closed the number may belong
   * to another vCPU at once, and forgetting it afterwards would hit the new owner's entries.
   * @throws HypercallError EINVAL
   */
  unbind(port: number): void {
    const timerPort = kernelBlock(this.vcpu) + TIMER_PORT;
    setPort(this.memory, this.ports.mask, port);
    clearPort(this.memory, this.filter, port);
    this.handlers[port] = undefined;
    if (this.memory.read32(timerPort) === port) this.memory.store32(timerPort, 0);
    this.vcpu.hypercall.evtchn.close(port);
  }

  /**
   * Puts up the handler for a port that another vCPU is going to move here with {@link rebind}. Has to be done
   * before the move: an event of a port without a handler is left lying.
   */
  expect(port: number, handler: EventHandler): void {
    this.handlers[port] = handler;
  }

  /**
   * Moves a port that this vCPU serves to another, which {@link expect}s it. Not from the port's own handler: the
   * rest of it would overlap with the next run over there.
   *
   * Xen redirects future events only. One noted in this vCPU's selector before is kept out by the filter from now on;
   * setting the mask bit and having the hypervisor clear it makes it look at the pending bit and announce such an
   * event on the new vCPU. The hypercall acts on a set mask bit only, hence the bit is set whatever it was.
   *
   * Not covered, here as in Xen: a send that has read the old vCPU as its target and sets the pending bit after all of
   * this. It marks the old vCPU, which leaves the port alone. Move a port while nobody sends to it, or look at what it
   * announces once more afterwards.
   * @throws HypercallError ENOENT: no such vCPU; EINVAL: the port cannot move; nothing is changed then
   */
  rebind(port: number, vcpuId: number): void {
    const { vcpu, memory } = this;
    vcpu.hypercall.evtchn.bindVcpu(port, vcpuId);
    const wasMasked = setPort(memory, this.ports.mask, port);
    clearPort(memory, this.filter, port);
    this.handlers[port] = undefined;
    setPort(memory, kernelBlock(vcpu, vcpuId) + PORT_FILTER, port);
    if (!wasMasked) vcpu.hypercall.evtchn.unmask(port);
  }

  /**
   * Keeps a port's events without delivering them. Any vCPU may. A handler whose turn was decided before still
   * runs.
   */
  mask(port: number): void {
    setPort(this.memory, this.ports.mask, port);
  }

  /**
   * Delivers a port's events again, those that came while it was masked included. Any vCPU may.
   *
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
    clearPort(memory, this.ports.mask, port);
    if (testPort(memory, this.ports.pending, port)) this.announce(port);
  }

  /** True if the port has an event that no handler has taken yet. */
  isPending(port: number): boolean {
    return testPort(this.memory, this.ports.pending, port);
  }

  isMasked(port: number): boolean {
    return testPort(this.memory, this.ports.mask, port);
  }

  /** Takes a port's event without its handler, as one does after SCHEDOP_poll; returns whether there was one. */
  take(port: number): boolean {
    return clearPort(this.memory, this.ports.pending, port);
  }

  /** See {@link bindEvtchn} for the order. */
  private open(port: number, handler: EventHandler): void {
    setPort(this.memory, this.ports.mask, port);
    this.handlers[port] = handler;
    setPort(this.memory, this.filter, port);
    this.unmask(port);
  }

  /**
   * What the hypervisor would have done, had the port not been masked: selector bit, then, if it was clear, upcall. A
   * handler that gets in between makes it a spurious upcall, no worse.
   */
  private announce(port: number): void {
    const { vcpu, ports } = this;
    const word = port >>> ports.wordShift;
    const bit = 1 << (word & 31);
    const { evtchn_upcall_pending, evtchn_pending_sel } = vcpu.info;
    const half = evtchn_pending_sel.word(word >>> 5);
    if ((half.or(bit) & bit) !== 0) return;
    evtchn_upcall_pending.write(1);
    if (irqEnabled(vcpu)) forceUpcall(vcpu);
  }
}
