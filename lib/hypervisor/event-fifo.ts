/**
 * The FIFO event-channel ABI: an event word per port in the guest's memory, linked into 16 queues per vCPU, one for each
 * priority. A control block per vCPU holds the heads of its queues, and a bit for each that may be non-empty.
 *
 * The hypervisor puts events on queues, the guest takes them off: it clears LINKED and LINK of the word at the head, and
 * only then looks at PENDING. An event raised before the guest's clear is seen by that look; one raised after it finds LINKED
 * clear and is put on a queue anew.
 *
 * Order of an enqueue: PENDING, LINKED, then the link from the tail or the head, then the ready bit, then the upcall flag.
 * The guest goes the other way: upcall flag, ready, head. Each step of either side is a full barrier, or is followed by one
 * before the next: between the head and the ready bit it is the release of the queue's lock. So whoever finds the ready bit
 * set knows that its owner has still to take it, and will find the head.
 *
 * Locks. A queue's lock is held from the test of PENDING to the last change of the queue: whoever finds PENDING or LINKED set
 * and goes on to wake a poller knows then that the event can be found. An event may have been linked last on another queue
 * than it goes to now: both are locked, the lower one by vCPU and priority first. The locks come after all others.
 *
 * The guest may write anything into its words. None of them is ever followed: links are written, not read, and the tails are
 * the hypervisor's own. What depends on a guest's word is tried a fixed number of times. So an event costs a bounded number of
 * steps, and a guest spoils its own queues only.
 *
 * DIFFERS: an event without an event word is noted and then looked for once more, so that it is not lost if the page is added
 * in between; Xen looks before only. Both queues stay locked to the end; Xen releases the old one as soon as
 * the event has left it.
 *
 * @source xen/common/event_fifo.c
 */
import { Errno } from '../abi/errno';
import { FIFO, FIFO_MASKS } from '../abi/fifo';
import { layoutOf } from '../abi/layouts';
import { toUint32 } from './arguments';
import { isLinked, wordAddress } from './event-array';
import type { HvDomain, HvVcpu } from './machine';
import type { Observer } from './platform';
import type { PortOps } from './port-ops';
import {
  CHANNEL_FIFO_LAST_QUEUE,
  CHANNEL_FIFO_PENDING,
  CHANNEL_FIFO_PRIORITY,
  FIFO_CONTROL_BLOCK,
  FIFO_QUEUE_LOCK,
  FIFO_QUEUE_PORT,
  FIFO_QUEUE_TAIL,
  FIFO_VCPU_BYTES,
} from './state-layout';
import type { VcpuState } from './vcpu-state';

// Copies in this module: constants to the compiler, where an import is a property that is looked up per event.
const LAST_QUEUE = CHANNEL_FIFO_LAST_QUEUE;
const PRIORITY = CHANNEL_FIFO_PRIORITY;
const CONTROL_BLOCK = FIFO_CONTROL_BLOCK;
const QUEUE_LOCK = FIFO_QUEUE_LOCK;
const QUEUE_TAIL = FIFO_QUEUE_TAIL;
const QUEUE_PORT = FIFO_QUEUE_PORT;
const VCPU_RECORD_BYTES = FIFO_VCPU_BYTES;
const PENDING = FIFO_MASKS.PENDING | 0;
const { BUSY, LINK, LINKED, MASKED } = FIFO_MASKS;

const DEFAULT_PRIORITY = FIFO.EVTCHN_FIFO_PRIORITY_DEFAULT;
const LOWEST_PRIORITY = FIFO.EVTCHN_FIFO_PRIORITY_MIN;
const PRIORITY_BITS = 4;
/** The control block is the same in all ABIs. */
const HEAD_OFFSET = layoutOf('x86_64', 'evtchn_fifo_control_block').fields.head?.offset as number;
/** Attempts to lock the queues of an event that others keep moving. */
const LOCK_TRIES = 3;
/** Further attempts to link a word that the guest keeps changing. */
const LINK_TRIES = 4;
/** Bits of a queue's number: vCPU * 16 + priority. */
const QUEUE_BITS = 16;
const QUEUE_MASK = (1 << QUEUE_BITS) - 1;

export class FifoPorts implements PortOps {
  constructor(
    private readonly vcpuState: VcpuState,
    private readonly observer: Observer,
  ) {}

  /**
   * Links the event unless it is masked or linked already, whether or not it was pending before. Pollers are looked for when
   * PENDING went from 0 to 1, masked or not. Dropped, PENDING untouched, while `vcpu` has no control block, and after three
   * attempts to lock the queues of an event that others moved meanwhile.
   * @source xen/common/event_fifo.c, evtchn_fifo_set_pending
   */
  setPending(domain: HvDomain, vcpu: HvVcpu, port: number): void {
    const word = this.wordForEvent(domain, port);
    if (word === 0) return;
    const channel = domain.channelAddress(port);
    const queues = this.lockQueues(domain, vcpu, channel);
    if (queues < 0) return;
    const control = domain.state.read32(vcpu.fifoAddress + CONTROL_BLOCK);
    if (control === 0) {
      this.unlockQueues(domain, queues);
      return;
    }
    const { guest } = domain;
    const old = guest.or32(word, PENDING);
    if ((old & PENDING) === 0) this.observer.raised(domain.id, vcpu.vcpuId, port);
    // MASKED as it was when PENDING was set: whoever clears it later looks at PENDING afterwards.
    const startsQueue = (old & MASKED) === 0 && this.putOnQueue(domain, port, word, queues, control);
    this.unlockQueues(domain, queues);
    if (startsQueue) this.announce(vcpu, control, 1 << (queues & LOWEST_PRIORITY));
    if ((old & PENDING) === 0) this.vcpuState.checkPollers(domain, port);
  }

  /** The guest takes the event off its queue later, and ignores it. */
  clearPending(domain: HvDomain, port: number): void {
    const word = wordAddress(domain, port);
    if (word !== 0) domain.guest.and32(word, ~PENDING);
  }

  /**
   * Links a pending event, also if it was not masked. BUSY, which keeps a guest from clearing MASKED, is not looked at.
   * @source xen/common/event_fifo.c, evtchn_fifo_unmask
   */
  unmask(domain: HvDomain, vcpu: HvVcpu, port: number): void {
    const word = wordAddress(domain, port);
    if (word === 0) return;
    if ((domain.guest.and32(word, ~MASKED) & PENDING) !== 0) this.setPending(domain, vcpu, port);
  }

  isPending(domain: HvDomain, port: number): boolean {
    const word = wordAddress(domain, port);
    return word !== 0 && (domain.guest.read32(word) & PENDING) !== 0;
  }

  isMasked(domain: HvDomain, port: number): boolean {
    const word = wordAddress(domain, port);
    return word === 0 || (domain.guest.read32(word) & MASKED) !== 0;
  }

  /** Gives it the default priority. */
  init(domain: HvDomain, port: number): void {
    domain.state.write32(domain.channelAddress(port) + PRIORITY, 0);
  }

  /** A port that is still on a queue would turn up with its next owner's events on its last owner's vCPU. */
  isBusy(domain: HvDomain, port: number): boolean {
    return isLinked(domain, port);
  }

  /** Takes effect when the event is linked next. */
  setPriority(domain: HvDomain, port: number, usable: boolean, priority: number): number {
    if (!usable) return -Errno.EACCES;
    if (toUint32(priority) > LOWEST_PRIORITY) return -Errno.EINVAL;
    domain.state.write32(domain.channelAddress(port) + PRIORITY, priority ^ DEFAULT_PRIORITY);
    return 0;
  }

  capacity(): number {
    return FIFO.EVTCHN_FIFO_NR_CHANNELS;
  }

  /**
   * Address of the event word; 0, and the event is noted, while there is none. The note is stored before the second look,
   * and expand_array raises the number of words before it looks for notes: one of the two sees the other.
   */
  private wordForEvent(domain: HvDomain, port: number): number {
    const word = wordAddress(domain, port);
    if (word !== 0) return word;
    domain.state.store32(domain.channelAddress(port) + CHANNEL_FIFO_PENDING, 1);
    return wordAddress(domain, port);
  }

  /**
   * The queue the event goes to in the low half, the one it was linked on last in the high half. Two senders may be at it
   * with different ideas of the target.
   */
  private queuesOf(domain: HvDomain, vcpu: HvVcpu, channel: number): number {
    const priority = domain.state.read32(channel + PRIORITY) ^ DEFAULT_PRIORITY;
    const last = domain.state.read32(channel + LAST_QUEUE);
    return (last << QUEUE_BITS) | (vcpu.vcpuId << PRIORITY_BITS) | priority;
  }

  /** @returns as {@link queuesOf}, both queues locked; -1 if the event kept moving */
  private lockQueues(domain: HvDomain, vcpu: HvVcpu, channel: number): number {
    for (let tries = 0; tries < LOCK_TRIES; tries++) {
      const queues = this.queuesOf(domain, vcpu, channel);
      const queue = queues & QUEUE_MASK;
      const last = queues >>> QUEUE_BITS;
      domain.state.writeLock(queueField(domain, Math.min(queue, last), QUEUE_LOCK));
      if (queue !== last) domain.state.writeLock(queueField(domain, Math.max(queue, last), QUEUE_LOCK));
      if (this.queuesOf(domain, vcpu, channel) === queues) return queues;
      this.unlockQueues(domain, queues);
    }
    return -1;
  }

  private unlockQueues(domain: HvDomain, queues: number): void {
    const queue = queues & QUEUE_MASK;
    const last = queues >>> QUEUE_BITS;
    if (queue !== last) domain.state.writeUnlock(queueField(domain, last, QUEUE_LOCK));
    domain.state.writeUnlock(queueField(domain, queue, QUEUE_LOCK));
  }

  /**
   * Puts the event at the end of its queue unless it is on one. Precondition: both queues locked. The port is noted
   * for {@link mendQueue} before it is linked, until the queue is whole again.
   * @returns whether the queue begins with it
   */
  private putOnQueue(domain: HvDomain, port: number, word: number, queues: number, control: number): boolean {
    const noted = queueField(domain, queues & QUEUE_MASK, QUEUE_PORT);
    domain.state.write32(noted, port);
    const startsQueue =
      (domain.guest.or32(word, LINKED) & LINKED) === 0 &&
      this.enqueue(domain, domain.channelAddress(port), port, queues, control);
    domain.state.write32(noted, 0);
    return startsQueue;
  }

  /**
   * Makes a queue whole whose lock was found held by a dead thread: an event that is linked and not yet at its end is put there,
   * and no word is left BUSY. Precondition: nobody else has the queue's lock.
   *
   * The guest may have taken the event off meanwhile, if the thread had got that far. It is then put on the queue once more,
   * which the guest sees as an event that is not pending.
   */
  mendQueue(domain: HvDomain, vcpu: HvVcpu, priority: number): void {
    const { guest, state } = domain;
    const queue = (vcpu.vcpuId << PRIORITY_BITS) | priority;
    const noted = queueField(domain, queue, QUEUE_PORT);
    const port = state.read32(noted);
    const tail = state.read32(queueField(domain, queue, QUEUE_TAIL));
    const tailWord = tail === 0 ? 0 : wordAddress(domain, tail);
    if (tailWord !== 0) guest.and32(tailWord, ~BUSY);
    if (port === 0) return;
    const control = state.read32(vcpu.fifoAddress + CONTROL_BLOCK);
    if (control !== 0 && tail !== port && isLinked(domain, port)) {
      const channel = domain.channelAddress(port);
      const queues = (state.read32(channel + LAST_QUEUE) << QUEUE_BITS) | queue;
      const follows = tailWord !== 0 && (guest.read32(tailWord) & (LINKED | LINK)) === (LINKED | port);
      if (follows) state.write32(queueField(domain, queue, QUEUE_TAIL), port);
      else this.enqueue(domain, channel, port, queues, control);
    }
    state.write32(noted, 0);
  }

  /**
   * Announces the vCPU's queues that hold something, all of them anew: whoever put an event there may have died before it
   * did. Without an effect, but for an upcall that finds nothing, where that was done.
   */
  announceAgain(vcpu: HvVcpu): void {
    const { domain } = vcpu;
    const control = domain.state.read32(vcpu.fifoAddress + CONTROL_BLOCK);
    if (control === 0) return;
    let ready = 0;
    for (let priority = 0; priority <= LOWEST_PRIORITY; priority++) {
      const queue = (vcpu.vcpuId << PRIORITY_BITS) | priority;
      const tail = domain.state.read32(queueField(domain, queue, QUEUE_TAIL));
      if (tail !== 0 && isLinked(domain, tail)) ready |= 1 << priority;
    }
    if (ready === 0) return;
    domain.guest.or32(control, ready);
    this.vcpuState.markEventsPending(vcpu);
  }

  /**
   * Puts the event at the end of its queue. Preconditions: both queues locked, LINKED just set in its word.
   *
   * If it was the tail of its old queue, the guest has taken it off since, with all before it, and that queue is empty: with
   * the tail left, the next event there would be linked to this one, on the queue it is on now.
   * @param control - of the target vCPU
   * @returns whether the queue begins with it
   */
  private enqueue(domain: HvDomain, channel: number, port: number, queues: number, control: number): boolean {
    const { guest, state } = domain;
    const queue = queues & QUEUE_MASK;
    const last = queues >>> QUEUE_BITS;
    const lastTail = queueField(domain, last, QUEUE_TAIL);
    if (state.read32(lastTail) === port) state.write32(lastTail, 0);
    if (queue !== last) state.write32(channel + LAST_QUEUE, queue);
    const tailField = queueField(domain, queue, QUEUE_TAIL);
    const tail = state.read32(tailField);
    const linked = tail !== 0 && this.link(domain, wordAddress(domain, tail), port);
    if (!linked) guest.write32(control + HEAD_OFFSET + (queue & LOWEST_PRIORITY) * 4, port);
    state.write32(tailField, port);
    return !linked;
  }

  /**
   * Links a queue's tail to `port`, unless the guest has taken the tail off. The guest changes the word meanwhile: it may set
   * and clear MASKED, clear PENDING, or take it off. BUSY forbids it to clear MASKED, so that at most a few attempts
   * fail; a guest that does not keep to that loses the event, which is claimed to be linked.
   * @returns false if the tail is off the queue
   * @source xen/common/event_fifo.c, evtchn_fifo_set_link
   */
  private link(domain: HvDomain, tailWord: number, port: number): boolean {
    const { guest } = domain;
    let seen = guest.read32(tailWord);
    if ((seen & LINKED) === 0) return false;
    if (guest.compareExchange32(tailWord, seen, linkTo(seen, port)) === seen) return true;
    guest.or32(tailWord, BUSY);
    seen = guest.read32(tailWord);
    for (let tries = 0; tries < LINK_TRIES; tries++) {
      if ((seen & LINKED) === 0) {
        guest.and32(tailWord, ~BUSY);
        return false;
      }
      const found = guest.compareExchange32(tailWord, seen, linkTo(seen, port));
      if (found === seen) return true;
      seen = found;
    }
    guest.and32(tailWord, ~BUSY);
    return true;
  }

  /** The queue was empty: sets its ready bit and, if that was clear, marks the vCPU. If it was set, its owner has still to take it. */
  private announce(vcpu: HvVcpu, control: number, bit: number): void {
    if ((vcpu.domain.guest.or32(control, bit) & bit) === 0) this.vcpuState.markEventsPending(vcpu);
  }
}

/** Address of a queue's lock or tail. */
function queueField(domain: HvDomain, queue: number, field: number): number {
  return (
    domain.fifoVcpusAddress + (queue >>> PRIORITY_BITS) * VCPU_RECORD_BYTES + field + (queue & LOWEST_PRIORITY) * 4
  );
}

/** A tail's word with its link set to `port`. */
function linkTo(word: number, port: number): number {
  return (word & ~(BUSY | LINK)) | port;
}
