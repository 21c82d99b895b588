/**
 * A ticket lock whose waiters, after spinning for a while, give up the processor in SCHEDOP_poll; the holder that
 * passes the turn on sends an event to just the vCPU whose turn it is.
 *
 * Each vCPU has one *kick port*: an IPI bound to itself and masked for ever, so that it never causes an upcall. Poll
 * looks at its pending bit, for which the mask does not matter. What a vCPU sleeps for, lock and ticket, stands in
 * its kernel block, where the holder looks.
 *
 * Why no sleeper is forgotten:
 * - It publishes lock and ticket, then looks at the lock again; the holder passes the turn on, then looks for sleepers.
 *   All of these are sequentially consistent, so at least one sees the other.
 * - It clears the kick port's pending bit *before* each look at the lock. A kick after the clear makes the poll return
 *   at once; whatever led to one before the clear, the look sees.
 * - Poll also returns when an upcall is deliverable, whatever the ports; each return is taken as possibly
 *   spurious.
 * - Upcalls stay as the caller had them, so a handler may interrupt the slow path and take another lock by the slow
 *   path. While its record stands the outer one is not to be seen, and it may consume the outer one's kick. It
 *   therefore puts the outer record back and leaves the kick port pending: the outer poll returns and looks again.
 * - A vCPU publishes itself only when it has a kick port, and keeps that port as long as the domain lives.
 *
 * @source Linux, arch/x86/xen/spinlock.c (with ticket locks: up to 4.1)
 */
import type { Memory } from '../memory/memory';
import { irqRestore, irqSave } from './irq';
import { KICK_PORT, kernelBlock, LOCK_WANTED, TICKET_WANTED } from './kernel-area';
import { openPorts } from './open-ports';
import type { PortControl } from './port-control';
import { nextTicket, passTicket, servedTicket, takeTicket, tryTicket } from './spinlock';
import type { Vcpu, Word } from './vcpu';

/** Looks at the lock before sleeping, if the user does not say otherwise. */
export const SPINS_BEFORE_POLL = 1024;

export class PvSpinlock {
  private readonly memory: Memory;
  private readonly ports: PortControl;
  private readonly block: number;
  /** This vCPU's kick port, as poll wants it. */
  private readonly kickPorts: readonly [number];

  /**
   * Binds this vCPU's kick port if it has none yet.
   * @param vcpu - the vCPU that uses this object; each vCPU makes its own over the same word
   * @param word - the lock; 0 = free
   * @param spins - looks at a held lock before sleeping
   * @throws HypercallError ENOSPC
   */
  constructor(
    private readonly vcpu: Vcpu,
    private readonly word: Word,
    private readonly spins = SPINS_BEFORE_POLL,
  ) {
    this.memory = vcpu.memory;
    this.ports = openPorts(vcpu);
    this.block = kernelBlock(vcpu);
    this.kickPorts = [this.kickPort()];
  }

  /** Takes the lock. Upcalls are taken meanwhile if they are enabled. */
  lock(): void {
    const ticket = takeTicket(this.word);
    for (let spin = 0; spin < this.spins; spin++) {
      if (servedTicket(this.word.load()) === ticket) return;
      this.vcpu.relax();
    }
    this.sleepUntilServed(ticket);
  }

  /** Takes the lock if it is free at once; returns whether it did. */
  tryLock(): boolean {
    return tryTicket(this.word);
  }

  /** Releases the lock and wakes the next waiter if it sleeps. Only the holder may. */
  unlock(): void {
    const value = passTicket(this.word);
    if (servedTicket(value) !== nextTicket(value)) this.kick(servedTicket(value));
  }

  /** Disables upcalls, then takes the lock; returns what {@link unlockIrqRestore} needs. */
  lockIrqSave(): number {
    const flags = irqSave(this.vcpu);
    this.lock();
    return flags;
  }

  /** Releases the lock, then puts the upcall mask back and takes upcalls that came meanwhile. */
  unlockIrqRestore(flags: number): void {
    this.unlock();
    irqRestore(this.vcpu, flags);
  }

  private kickPort(): number {
    const bound = this.memory.read32(this.block + KICK_PORT);
    if (bound !== 0) return bound;
    const port = this.vcpu.hypercall.evtchn.bindIpi(this.vcpu.id);
    this.ports.prepare(port);
    this.ports.mask(port);
    this.memory.store32(this.block + KICK_PORT, port);
    return port;
  }

  private sleepUntilServed(ticket: number): void {
    const { memory, block, vcpu } = this;
    const [port] = this.kickPorts;
    // Non-zero only if this is a handler that interrupted the slow path of another lock.
    const outerLock = memory.read32(block + LOCK_WANTED);
    const outerTicket = memory.read32(block + TICKET_WANTED);
    this.publish(this.word.address, ticket);
    for (;;) {
      this.ports.clearPending(port);
      if (servedTicket(this.word.load()) === ticket) break;
      vcpu.hypercall.sched.poll(this.kickPorts);
    }
    this.publish(outerLock, outerTicket);
    if (outerLock !== 0) this.ports.setPending(port);
  }

  /** The ticket before the lock: who finds the lock finds the ticket that belongs to it, or a later one. */
  private publish(lock: number, ticket: number): void {
    this.memory.store32(this.block + LOCK_WANTED, 0);
    this.memory.store32(this.block + TICKET_WANTED, ticket);
    this.memory.store32(this.block + LOCK_WANTED, lock);
  }

  /** Wakes the vCPU that sleeps with this ticket; if none does, its owner still spins and will see its turn. */
  private kick(ticket: number): void {
    const { memory, vcpu, word } = this;
    for (let id = 0; id < vcpu.domain.vcpus; id++) {
      const block = kernelBlock(vcpu, id);
      if (memory.load32(block + LOCK_WANTED) !== word.address) continue;
      if (memory.load32(block + TICKET_WANTED) !== ticket) continue;
      vcpu.hypercall.evtchn.send(memory.load32(block + KICK_PORT));
      return;
    }
  }
}
