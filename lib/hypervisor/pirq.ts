/**
 * Physical interrupts (x86 PV): which guests have one bound, raising it, and the acknowledgement that lets it fire again.
 * PIRQ n of every domain is machine IRQ n.
 *
 * An IRQ that needs an EOI is silent from the moment it fires until every guest that got it has sent one, or until
 * MachineOptions.irqEoiTimeoutNs have passed. If the line is raised meanwhile, that is remembered, and the IRQ fires
 * again at once: the behaviour of a level-triggered line that is still asserted.
 *
 * Locks: the IRQ's lock guards its record and every domain's `pirq.masked`; `pirq.evtchn` is guarded by the domain's
 * event_lock. Order: event_lock, then the IRQ's lock, then a channel's. A sender only tries the channel's lock: failing
 * means that it is being bound or closed, and the event is dropped.
 *
 * Leaves out: interrupt controllers, affinity, interrupts used by Xen itself, and the kinds of acknowledgement beyond
 * "needs an EOI" and "needs none".
 *
 * @source xen/arch/x86/irq.c (do_IRQ_guest, pirq_guest_bind, pirq_guest_unbind, pirq_guest_eoi),
 * xen/common/event_channel.c (send_guest_pirq)
 */
import { Errno } from '../abi/errno';
import { BIND_PIRQ } from '../abi/event-channel';
import { type Channels, isUsable } from './channels';
import type { HvDomain, Machine } from './machine';
import { readPair, writePair } from './pairs';
import type { PortAbis } from './port-ops';
import {
  DOMAIN_PIRQ_EOI_MAP,
  IRQ_EOI_DEADLINE,
  IRQ_GUESTS,
  IRQ_IN_FLIGHT,
  IRQ_LINE,
  IRQ_LOCK,
  IRQ_NR_GUESTS,
  IRQ_SHAREABLE,
  MACHINE_IRQS_IN_FLIGHT,
  PIRQ_EVTCHN,
  PIRQ_MASKED,
} from './state-layout';

/** Guests that may share an IRQ (Xen's default). */
const MAX_GUESTS = 32;

export class Pirqs {
  private readonly unmapped: ReadonlySet<number>;
  private readonly edge: ReadonlySet<number>;
  private readonly timeoutNs: number;

  constructor(
    private readonly machine: Machine,
    private readonly channels: Channels,
    private readonly abis: PortAbis,
  ) {
    this.unmapped = new Set(machine.image.options.unmappedIrqs);
    this.edge = new Set(machine.image.options.edgeIrqs);
    this.timeoutNs = machine.image.options.irqEoiTimeoutNs;
  }

  /** True for a PIRQ that the toolstack has mapped to an interrupt for the domain; takes anything. */
  isMapped(domain: HvDomain, pirq: number): boolean {
    return this.machine.pirqExists(pirq) && domain.mayBindPirq(pirq) && !this.unmapped.has(pirq);
  }

  /** True for an interrupt that stays silent until its EOI. */
  needsEoi(irq: number): boolean {
    return !this.edge.has(irq);
  }

  /** Port a PIRQ is bound to; 0: none. */
  port(domain: HvDomain, pirq: number): number {
    return domain.state.load32(domain.pirqAddress(pirq) + PIRQ_EVTCHN);
  }

  /** Precondition: event_lock held for writing. */
  setPort(domain: HvDomain, pirq: number, port: number): void {
    domain.state.store32(domain.pirqAddress(pirq) + PIRQ_EVTCHN, port);
  }

  /**
   * Adds a guest to the IRQ behind a PIRQ. Preconditions: event_lock held for writing; `setPort` was done, since the
   * interrupt may fire at once.
   * @param flags - BIND_PIRQ__*
   * @returns 0; -EINVAL if there is no such IRQ; -EBUSY if it is in use and either side will not share
   */
  guestBind(domain: HvDomain, pirq: number, flags: number): number {
    if (this.unmapped.has(pirq)) return -Errno.EINVAL;
    const { global } = this.machine;
    const irq = this.machine.irqAddress(pirq);
    const willShare = flags & BIND_PIRQ.BIND_PIRQ__WILL_SHARE;
    global.writeLock(irq + IRQ_LOCK);
    const guests = global.read32(irq + IRQ_NR_GUESTS);
    let result = 0;
    if (guests === 0) global.write32(irq + IRQ_SHAREABLE, willShare);
    else if (willShare === 0 || global.read32(irq + IRQ_SHAREABLE) === 0) result = -Errno.EBUSY;
    else if (guests === MAX_GUESTS) result = -Errno.EBUSY;
    if (result === 0) {
      global.write32(irq + IRQ_NR_GUESTS, guests + 1);
      this.writeGuestBit(irq, domain, true);
      this.noteInEoiMap(domain, pirq);
    }
    global.writeUnlock(irq + IRQ_LOCK);
    return result;
  }

  /**
   * Removes a guest. An EOI it owes is taken for given. Precondition: event_lock held for writing.
   *
   * From here on the IRQ cannot fire for this guest, so the port may be closed.
   * @source xen/arch/x86/irq.c, __pirq_guest_unbind
   */
  guestUnbind(domain: HvDomain, pirq: number): void {
    const { global } = this.machine;
    const irq = this.machine.irqAddress(pirq);
    global.writeLock(irq + IRQ_LOCK);
    global.write32(irq + IRQ_NR_GUESTS, global.read32(irq + IRQ_NR_GUESTS) - 1);
    this.writeGuestBit(irq, domain, false);
    this.acknowledge(domain, pirq, irq);
    global.writeUnlock(irq + IRQ_LOCK);
  }

  /**
   * The interrupt fires: every guest that bound it gets the event. While EOIs are awaited it is only noted.
   * @param irq - nothing happens for a number without an interrupt
   * @source xen/arch/x86/irq.c, do_IRQ_guest
   */
  raise(irq: number): void {
    if (!this.machine.pirqExists(irq)) return;
    const { global } = this.machine;
    const record = this.machine.irqAddress(irq);
    global.writeLock(record + IRQ_LOCK);
    if (global.read32(record + IRQ_IN_FLIGHT) !== 0) global.write32(record + IRQ_LINE, 1);
    else this.fire(irq, record);
    global.writeUnlock(record + IRQ_LOCK);
  }

  /** True while some guest's EOI is awaited. */
  inService(irq: number): boolean {
    if (!this.machine.pirqExists(irq)) return false;
    return this.machine.global.load32(this.machine.irqAddress(irq) + IRQ_IN_FLIGHT) !== 0;
  }

  /** Number of guests that have an existing interrupt bound. */
  guests(irq: number): number {
    return this.machine.global.load32(this.machine.irqAddress(irq) + IRQ_NR_GUESTS);
  }

  /** The guest's EOI for an existing PIRQ. Does nothing if none is owed. */
  eoi(domain: HvDomain, pirq: number): void {
    const { global } = this.machine;
    const irq = this.machine.irqAddress(pirq);
    global.writeLock(irq + IRQ_LOCK);
    this.acknowledge(domain, pirq, irq);
    global.writeUnlock(irq + IRQ_LOCK);
  }

  /**
   * Makes the port of one domain's PIRQ pending, whatever the state of the IRQ. Dropped if it is not bound, or while it is
   * being bound.
   * @source xen/common/event_channel.c, send_guest_pirq
   */
  send(domain: HvDomain, pirq: number): void {
    if (!this.machine.pirqExists(pirq)) return;
    const port = this.port(domain, pirq);
    if (port === 0 || !this.channels.readTrylock(domain, port)) return;
    const state = this.channels.state(domain, port);
    if (isUsable(state)) {
      this.abis.of(state).setPending(domain, this.channels.notifyVcpu(domain, port), port);
    }
    this.channels.readUnlock(domain, port);
  }

  /**
   * Takes missing EOIs for given where they are overdue. Called by the timer source.
   * @source xen/arch/x86/irq.c, irq_guest_eoi_timer_fn
   */
  runExpired(now: number): void {
    if (!this.awaitsEois()) return;
    for (let irq = 0; irq < this.machine.image.options.irqs; irq++) this.forceEoi(irq, now);
  }

  /** The earliest time at which a missing EOI is overdue, or Infinity. */
  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    if (!this.awaitsEois()) return next;
    const { global } = this.machine;
    for (let irq = 0; irq < this.machine.image.options.irqs; irq++) {
      const record = this.machine.irqAddress(irq);
      global.readLock(record + IRQ_LOCK);
      if (global.read32(record + IRQ_IN_FLIGHT) !== 0)
        next = Math.min(next, readPair(global, record + IRQ_EOI_DEADLINE));
      global.readUnlock(record + IRQ_LOCK);
    }
    return next;
  }

  /**
   * Makes the record of an IRQ whole whose lock was found held by a dead thread. What says most is believed: the guests' bits,
   * and each guest's `masked`. An interrupt that had begun to fire fires for all its guests, for some perhaps again; one
   * whose last EOI was being taken in can fire again. Precondition: nobody else has the IRQ's lock.
   */
  mend(irq: number): void {
    const { domains, global } = this.machine;
    const record = this.machine.irqAddress(irq);
    const guests = domains.filter((domain) => this.readGuestBit(record, domain));
    const owing = domains.filter((domain) => domain.state.read32(domain.pirqAddress(irq) + PIRQ_MASKED) !== 0);
    global.write32(record + IRQ_NR_GUESTS, guests.length);
    // Whoever was being removed owes nothing any more.
    for (const domain of owing) {
      if (!guests.includes(domain)) domain.state.write32(domain.pirqAddress(irq) + PIRQ_MASKED, 0);
    }
    const inFlight = owing.filter((domain) => guests.includes(domain)).length;
    const wasFiring = inFlight !== 0 && global.read32(record + IRQ_IN_FLIGHT) === 0;
    global.write32(record + IRQ_IN_FLIGHT, inFlight);
    if (wasFiring || (inFlight === 0 && global.read32(record + IRQ_LINE) !== 0)) {
      global.write32(record + IRQ_LINE, 0);
      this.fire(irq, record);
    } else if (inFlight !== 0 && this.timeoutNs !== 0) {
      // Perhaps anew: the thread may have died before it set the deadline.
      this.setEoiDeadline(record);
    }
  }

  /** Counts anew how many IRQs await EOIs. Precondition: no IRQ's lock is held by a dead thread. */
  recountInFlight(): void {
    const { global } = this.machine;
    const { irqs } = this.machine.image.options;
    let inFlight = 0;
    // All at once, or the count would be of no one moment. Nobody else holds two of these locks.
    for (let irq = 0; irq < irqs; irq++) global.writeLock(this.machine.irqAddress(irq) + IRQ_LOCK);
    for (let irq = 0; irq < irqs; irq++) if (this.inService(irq)) inFlight++;
    global.store32(MACHINE_IRQS_IN_FLIGHT, inFlight);
    for (let irq = 0; irq < irqs; irq++) global.writeUnlock(this.machine.irqAddress(irq) + IRQ_LOCK);
  }

  /** True for a domain that the IRQ behind a PIRQ counts among its guests. */
  isGuest(domain: HvDomain, pirq: number): boolean {
    return this.readGuestBit(this.machine.irqAddress(pirq), domain);
  }

  /** Sets the bit of a PIRQ in the domain's registered EOI page, if there is one, as its need of an EOI demands. */
  noteInEoiMap(domain: HvDomain, pirq: number): void {
    const map = domain.state.load32(DOMAIN_PIRQ_EOI_MAP);
    if (map === 0) return;
    const word = map + (pirq >>> 5) * 4;
    const bit = 1 << (pirq & 31);
    if (this.needsEoi(pirq)) domain.guest.or32(word, bit);
    else domain.guest.and32(word, ~bit);
  }

  private awaitsEois(): boolean {
    return this.timeoutNs > 0 && this.machine.global.load32(MACHINE_IRQS_IN_FLIGHT) !== 0;
  }

  /** Precondition for this and what follows: the IRQ's lock held for writing. */
  private fire(irq: number, record: number): void {
    const { global } = this.machine;
    let inFlight = 0;
    for (const domain of this.machine.domains) {
      if (!this.readGuestBit(record, domain)) continue;
      if (this.needsEoi(irq)) {
        domain.state.write32(domain.pirqAddress(irq) + PIRQ_MASKED, 1);
        inFlight++;
      }
      this.send(domain, irq);
    }
    global.write32(record + IRQ_IN_FLIGHT, inFlight);
    if (inFlight === 0) return;
    global.add32(MACHINE_IRQS_IN_FLIGHT, 1);
    if (this.timeoutNs !== 0) this.setEoiDeadline(record);
  }

  private setEoiDeadline(record: number): void {
    const deadline = this.machine.platform.now() + this.timeoutNs;
    writePair(this.machine.global, record + IRQ_EOI_DEADLINE, deadline);
    this.machine.platform.timerChanged(deadline);
  }

  private acknowledge(domain: HvDomain, pirq: number, record: number): void {
    const masked = domain.pirqAddress(pirq) + PIRQ_MASKED;
    if (domain.state.read32(masked) === 0) return;
    domain.state.write32(masked, 0);
    const { global } = this.machine;
    const inFlight = global.read32(record + IRQ_IN_FLIGHT) - 1;
    global.write32(record + IRQ_IN_FLIGHT, inFlight);
    if (inFlight === 0) this.enable(pirq, record);
  }

  /** The last EOI is there: the IRQ may fire again, and does if its line was raised meanwhile. */
  private enable(irq: number, record: number): void {
    const { global } = this.machine;
    global.add32(MACHINE_IRQS_IN_FLIGHT, -1);
    if (global.read32(record + IRQ_LINE) === 0) return;
    global.write32(record + IRQ_LINE, 0);
    this.fire(irq, record);
  }

  private forceEoi(irq: number, now: number): void {
    const { global } = this.machine;
    const record = this.machine.irqAddress(irq);
    global.writeLock(record + IRQ_LOCK);
    if (global.read32(record + IRQ_IN_FLIGHT) !== 0 && readPair(global, record + IRQ_EOI_DEADLINE) <= now) {
      for (const domain of this.machine.domains) domain.state.write32(domain.pirqAddress(irq) + PIRQ_MASKED, 0);
      global.write32(record + IRQ_IN_FLIGHT, 0);
      this.enable(irq, record);
    }
    global.writeUnlock(record + IRQ_LOCK);
  }

  private readGuestBit(record: number, domain: HvDomain): boolean {
    return (this.machine.global.read32(guestWord(record, domain)) & (1 << (domain.index & 31))) !== 0;
  }

  private writeGuestBit(record: number, domain: HvDomain, set: boolean): void {
    const word = guestWord(record, domain);
    const bit = 1 << (domain.index & 31);
    const old = this.machine.global.read32(word);
    this.machine.global.write32(word, set ? old | bit : old & ~bit);
  }
}

function guestWord(record: number, domain: HvDomain): number {
  return record + IRQ_GUESTS + (domain.index >>> 5) * 4;
}
