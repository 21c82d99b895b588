/**
 * The ports of a domain as an onlooker sees them, whichever event-channel ABI it uses: read from memory as it is, without a
 * step of anybody's. For invariants and traces.
 */
import { FIFO_MASKS } from '../abi/fifo';
import type { HvDomain, HvVcpu } from './machine';
import {
  DOMAIN_EVTCHN_FIFO,
  EVENT_WORDS_PER_PAGE,
  FIFO_CONTROL_BLOCK,
  FIFO_EVENT_ARRAY,
  FIFO_NUM_EVTCHNS,
} from './state-layout';

const PENDING = FIFO_MASKS.PENDING | 0;

/** Words of one domain by address, signed 32-bit. */
export interface PeekDomain {
  guest(address: number): number;
  /** The hypervisor's state for the domain. */
  private(address: number): number;
}

/** A bit of a word in guest memory. */
export interface BitPlace {
  readonly address: number;
  readonly bit: number;
}

export class PortView {
  constructor(
    private readonly domain: HvDomain,
    private readonly peek: PeekDomain,
  ) {}

  get usesFifo(): boolean {
    return this.peek.private(DOMAIN_EVTCHN_FIFO) !== 0;
  }

  isPending(port: number): boolean {
    const place = this.pendingBit(port);
    return place !== undefined && this.isSet(place);
  }

  isMasked(port: number): boolean {
    if (!this.usesFifo) return this.isSet(bitOf(this.domain.maskAddress, port));
    const word = this.eventWord(port);
    return word === 0 || (this.peek.guest(word) & FIFO_MASKS.MASKED) !== 0;
  }

  /**
   * Whether something leads from the vCPU to the port: its selector bit; under the FIFO ABI, that the port is on a queue.
   */
  isAnnounced(port: number, vcpu: HvVcpu): boolean {
    const { domain, peek } = this;
    if (this.usesFifo) return this.isPending(port) && (peek.guest(this.eventWord(port)) & FIFO_MASKS.LINKED) !== 0;
    const selector = peek.private(vcpu.infoPointerAddress) + domain.selectorOffset;
    return this.isSet(bitOf(selector, port >>> domain.evtchnWordShift));
  }

  /** The bit that says that a port is pending; undefined where there is no event word. */
  pendingBit(port: number): BitPlace | undefined {
    if (!this.usesFifo) return bitOf(this.domain.pendingAddress, port);
    const address = this.eventWord(port);
    return address === 0 ? undefined : { address, bit: PENDING };
  }

  /** Guest address of a vCPU's control block; 0 if it has none. */
  controlBlock(vcpu: HvVcpu): number {
    return this.usesFifo ? this.peek.private(vcpu.fifoAddress + FIFO_CONTROL_BLOCK) : 0;
  }

  /** Guest addresses of the pages of the event array. */
  eventArrayPages(): readonly number[] {
    if (!this.usesFifo) return [];
    const { fifoAddress } = this.domain;
    const pages = this.peek.private(fifoAddress + FIFO_NUM_EVTCHNS) / EVENT_WORDS_PER_PAGE;
    return Array.from({ length: pages }, (_, page) => this.peek.private(fifoAddress + FIFO_EVENT_ARRAY + page * 4));
  }

  /** Guest address of the port's event word; 0 if there is none. */
  eventWord(port: number): number {
    const { fifoAddress } = this.domain;
    if (port >= this.peek.private(fifoAddress + FIFO_NUM_EVTCHNS)) return 0;
    const page = this.peek.private(fifoAddress + FIFO_EVENT_ARRAY + Math.floor(port / EVENT_WORDS_PER_PAGE) * 4);
    return page + (port % EVENT_WORDS_PER_PAGE) * 4;
  }

  private isSet({ address, bit }: BitPlace): boolean {
    return (this.peek.guest(address) & bit) !== 0;
  }
}

function bitOf(bitmap: number, index: number): BitPlace {
  return { address: bitmap + (index >>> 5) * 4, bit: 1 << (index & 31) };
}
