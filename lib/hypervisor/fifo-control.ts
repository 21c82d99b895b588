/**
 * EVTCHNOP_init_control and _expand_array: how a domain comes to use the FIFO ABI, and how it goes back to the 2-level one.
 *
 * Everything here happens under the domain's event_lock, but sends do not take it: a send that is under way while its domain
 * switches may still set a bit of the 2-level bitmap, where nobody looks any more. As in Xen, guests switch before they bind
 * anything, or are prepared to look.
 *
 * @source xen/common/event_fifo.c
 */
import { Errno } from '../abi/errno';
import { FIFO } from '../abi/fifo';
import { layoutOf } from '../abi/layouts';
import type { LockableMemory } from '../memory/memory';
import { toUint32 } from './arguments';
import { type Channels, isUsable } from './channels';
import type { FifoPorts } from './event-fifo';
import { PAGE_BYTES } from './image';
import type { HvDomain, HvVcpu } from './machine';
import {
  CHANNEL_FIFO_PENDING,
  CHANNEL_FIFO_PRIORITY,
  CHANNEL_STATE,
  DOMAIN_ACTIVE_EVTCHNS,
  DOMAIN_EVTCHN_FIFO,
  DOMAIN_VALID_EVTCHNS,
  EVENT_WORDS_PER_PAGE,
  FIFO_CHANNEL,
  FIFO_CONTROL_BLOCK,
  FIFO_EVENT_ARRAY,
  FIFO_NUM_EVTCHNS,
  FIFO_QUEUE_TAIL,
} from './state-layout';

const EINVAL = -Errno.EINVAL;
const CONTROL_BLOCK_BYTES = layoutOf('x86_64', 'evtchn_fifo_control_block').size;
const CONTROL_BLOCK_ALIGN = 8;
const MOST_PAGES = FIFO.EVTCHN_FIFO_NR_CHANNELS / EVENT_WORDS_PER_PAGE;

export class FifoControl {
  constructor(
    private readonly channels: Channels,
    private readonly ports: FifoPorts,
  ) {}

  /**
   * EVTCHNOP_init_control: gives a vCPU its control block. The first one switches the domain to the FIFO ABI, with an empty
   * event array; events that are pending in the 2-level bitmap then are raised when their page of the array is added.
   * @returns EVTCHN_FIFO_LINK_BITS; -ENOENT (no such vCPU), -EINVAL (place, or the vCPU has one)
   */
  initControl(domain: HvDomain, gfn: number, offset: number, vcpuId: number): number {
    const vcpu = domain.vcpu(vcpuId);
    if (vcpu === undefined) return -Errno.ENOENT;
    if (toUint32(offset) > PAGE_BYTES - CONTROL_BLOCK_BYTES || offset % CONTROL_BLOCK_ALIGN !== 0) return EINVAL;
    if (!mayUse(domain, gfn)) return EINVAL;
    this.channels.lockEvents(domain);
    const result = this.initControlLocked(vcpu, gfn * PAGE_BYTES + toUint32(offset));
    this.channels.unlockEvents(domain);
    return result;
  }

  /**
   * EVTCHNOP_expand_array: adds a page to the event array. Events that came before there was a word for them are raised.
   * @returns 0; -EOPNOTSUPP (the domain is not on the FIFO ABI), -ENOSPC (128 pages), -EINVAL (page)
   */
  expandArray(domain: HvDomain, gfn: number): number {
    this.channels.lockEvents(domain);
    const result = this.expandArrayLocked(domain, gfn);
    this.channels.unlockEvents(domain);
    return result;
  }

  /**
   * Back to the 2-level ABI. Precondition: event_lock held, and no channel left that the guest could use. What is noted of
   * ports (events without a word, the queue they were on) outlives it; their priorities are the default again.
   */
  leave(domain: HvDomain): void {
    const { state } = domain;
    if (state.read32(DOMAIN_EVTCHN_FIFO) === 0) return;
    state.write32(DOMAIN_EVTCHN_FIFO, 0);
    this.forget(domain, state.read32(domain.fifoAddress + FIFO_NUM_EVTCHNS) / EVENT_WORDS_PER_PAGE);
  }

  /** What {@link leave} does when the domain is on the 2-level ABI. Also for a domain of which a thread that died did some of it. */
  forget(domain: HvDomain, pages = MOST_PAGES): void {
    const { state } = domain;
    clear(state, domain.fifoAddress + FIFO_NUM_EVTCHNS, 4);
    clear(state, domain.fifoAddress + FIFO_EVENT_ARRAY, pages * 4);
    for (const { fifoAddress } of domain.vcpus) {
      clear(state, fifoAddress + FIFO_CONTROL_BLOCK, 4);
      clear(state, fifoAddress + FIFO_QUEUE_TAIL, FIFO.EVTCHN_FIFO_MAX_QUEUES * 4);
    }
    const valid = state.read32(DOMAIN_VALID_EVTCHNS);
    for (let port = 1; port < valid; port++) clear(state, domain.channelAddress(port) + CHANNEL_FIFO_PRIORITY, 4);
  }

  private initControlLocked(vcpu: HvVcpu, address: number): number {
    const { domain } = vcpu;
    const { state } = domain;
    const slot = vcpu.fifoAddress + FIFO_CONTROL_BLOCK;
    if (state.read32(slot) !== 0) return EINVAL;
    // Published by the store: a sender that finds the address finds the block the guest has prepared.
    state.store32(slot, address);
    if (state.read32(DOMAIN_EVTCHN_FIFO) === 0) this.enter(domain);
    return FIFO.EVTCHN_FIFO_LINK_BITS;
  }

  /** The domain switches over. Channels of the hypervisor's own have no event words. */
  private enter(domain: HvDomain): void {
    const { state } = domain;
    state.write32(DOMAIN_EVTCHN_FIFO, 1);
    let left = state.read32(DOMAIN_ACTIVE_EVTCHNS);
    for (let port = 1; left > 0; port++) {
      const channelState = this.channels.state(domain, port);
      if (channelState !== 0) left--;
      if (isUsable(channelState))
        state.write32(domain.channelAddress(port) + CHANNEL_STATE, channelState | FIFO_CHANNEL);
    }
    this.noteTwoLevelPending(domain);
  }

  /** Notes the ports whose bit is set in evtchn_pending. */
  private noteTwoLevelPending(domain: HvDomain): void {
    const { guest, state } = domain;
    const valid = Math.min(state.read32(DOMAIN_VALID_EVTCHNS), domain.maxEvtchns);
    for (let first = 0; first < valid; first += 32) {
      const bits = guest.read32(domain.pendingAddress + first / 8);
      for (let rest = first === 0 ? bits & ~1 : bits; rest !== 0; rest &= rest - 1) {
        const port = first + 31 - Math.clz32(rest & -rest);
        state.write32(domain.channelAddress(port) + CHANNEL_FIFO_PENDING, 1);
      }
    }
  }

  private expandArrayLocked(domain: HvDomain, gfn: number): number {
    const { state } = domain;
    if (state.read32(DOMAIN_EVTCHN_FIFO) === 0) return -Errno.EOPNOTSUPP;
    const first = state.read32(domain.fifoAddress + FIFO_NUM_EVTCHNS);
    if (first >= FIFO.EVTCHN_FIFO_NR_CHANNELS) return -Errno.ENOSPC;
    if (!mayUse(domain, gfn)) return EINVAL;
    const page = first / EVENT_WORDS_PER_PAGE;
    state.write32(domain.fifoAddress + FIFO_EVENT_ARRAY + page * 4, gfn * PAGE_BYTES);
    // After the address, and a full barrier before the look for notes: see event-array.ts and FifoPorts.
    state.store32(domain.fifoAddress + FIFO_NUM_EVTCHNS, first + EVENT_WORDS_PER_PAGE);
    this.raiseNoted(domain, first);
    return 0;
  }

  /** The notes stay: a port that had one is raised again when the domain builds another array. */
  private raiseNoted(domain: HvDomain, first: number): void {
    const { state } = domain;
    const end = Math.min(first + EVENT_WORDS_PER_PAGE, state.read32(DOMAIN_VALID_EVTCHNS));
    for (let port = first; port < end; port++) {
      if (state.load32(domain.channelAddress(port) + CHANNEL_FIFO_PENDING) === 0) continue;
      this.ports.setPending(domain, this.channels.notifyVcpu(domain, port), port);
    }
  }
}

/** Zeroes words; those that are zero already are only read. */
function clear(state: LockableMemory, address: number, bytes: number): void {
  for (let at = address; at < address + bytes; at += 4) if (state.read32(at) !== 0) state.write32(at, 0);
}

/** True for a page that may hold words the hypervisor shares with the guest. */
function mayUse(domain: HvDomain, gfn: number): boolean {
  return domain.isMappable(gfn) && !domain.isReadOnly(gfn);
}
