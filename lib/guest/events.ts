/**
 * Event channels as a kernel uses them: bind a port to a handler on this vCPU, mask and unmask it, move it to
 * another vCPU, give it back.
 *
 * Two things are known of a port: its handler, in a table of this vCPU alone (handlers are code: each vCPU fills its
 * table as it runs its part of the guest), and the vCPU that serves it. Under the 2-level ABI the latter is a bit of that
 * vCPU's filter, a word that others can see; under the FIFO ABI the hypervisor puts each event on the queue of one vCPU. What
 * matters is the order of changes; each method argues for its own.
 *
 * Leaves out: counting the reasons for a mask. A mask bit has one owner: who masks a port for a while must not be
 * surprised by another who unmasks it.
 *
 * @source Linux, drivers/xen/events/events_base.c
 */
import { VIRQ_CLASS, VIRQ_TIMER } from '../abi';
import { placeVcpuInfo } from './boot';
import { checkKernelArea } from './kernel-area';
import { openPorts } from './open-ports';
import type { EventHandler, PortControl } from './port-control';
import type { Vcpu } from './vcpu';

/** One vCPU's event channels. Make one in the guest function, before upcalls are enabled. */
export class Events {
  private readonly ports: PortControl;
  private readonly handlers: (EventHandler | undefined)[] = [];

  /**
   * Registers this vCPU's event callback, and a vcpu_info if it has none.
   * @throws RangeError if the domain has too little memory for the library's words
   */
  constructor(readonly vcpu: Vcpu) {
    checkKernelArea(vcpu);
    this.ports = openPorts(vcpu);
    vcpu.onUpcall(this.ports.dispatcher(this.handlers));
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
    this.ports.maskAll();
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
    if (virq === VIRQ_TIMER) this.ports.attachTimer(port);
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
    this.ports.mask(port);
    this.ports.detach(port);
    this.handlers[port] = undefined;
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
   * Xen redirects future events only. One noted in this vCPU's selector before is kept out by the filter from now on (one on
   * this vCPU's queue under the FIFO ABI is passed on when it is taken off, see `fifo-dispatch.ts`);
   * setting the mask bit and having the hypervisor clear it makes it look at the pending bit and announce such an
   * event on the new vCPU. The hypercall acts on a set mask bit only, hence the bit is set whatever it was.
   *
   * Not covered, here as in Xen: a send that has read the old vCPU as its target and sets the pending bit after all of
   * this. It marks the old vCPU, which leaves the port alone. Move a port while nobody sends to it, or look at what it
   * announces once more afterwards.
   * @throws HypercallError ENOENT: no such vCPU; EINVAL: the port cannot move; nothing is changed then
   */
  rebind(port: number, vcpuId: number): void {
    const { vcpu, ports } = this;
    vcpu.hypercall.evtchn.bindVcpu(port, vcpuId);
    const wasMasked = ports.mask(port);
    this.handlers[port] = undefined;
    ports.handOver(port, vcpuId);
    if (!wasMasked) vcpu.hypercall.evtchn.unmask(port);
  }

  /**
   * Keeps a port's events without delivering them. Any vCPU may. A handler whose turn was decided before still
   * runs.
   */
  mask(port: number): void {
    this.ports.mask(port);
  }

  /** Delivers a port's events again, those that came while it was masked included. Any vCPU may. */
  unmask(port: number): void {
    this.ports.unmask(port);
  }

  /**
   * FIFO ABI only: events of the port are served before those of a greater number. Applies to events that come from now on.
   * A port begins with 7, VIRQ_TIMER's with 0.
   * @param priority - 0 .. 15
   * @throws HypercallError ENOSYS under the 2-level ABI; EINVAL
   */
  setPriority(port: number, priority: number): void {
    this.vcpu.hypercall.evtchn.setPriority(port, priority);
  }

  /** True if the port has an event that no handler has taken yet. */
  isPending(port: number): boolean {
    return this.ports.isPending(port);
  }

  isMasked(port: number): boolean {
    return this.ports.isMasked(port);
  }

  /** Takes a port's event without its handler, as one does after SCHEDOP_poll; returns whether there was one. */
  take(port: number): boolean {
    return this.ports.clearPending(port);
  }

  /** See {@link bindEvtchn} for the order. */
  private open(port: number, handler: EventHandler): void {
    this.ports.prepare(port);
    this.ports.mask(port);
    this.handlers[port] = handler;
    this.ports.attach(port);
    this.ports.unmask(port);
  }
}
