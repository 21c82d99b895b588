/**
 * The operations that differ between the event-channel ABIs, and which ABI's are meant.
 *
 * Each channel in use says in its state word by which ABI its events are delivered: whoever raises, clears or unmasks an
 * event has read that word already, so the choice costs the way of an event no access to memory.
 *
 * @source xen/include/xen/event.h, struct evtchn_port_ops
 */
import type { HvDomain, HvVcpu } from './machine';
import { DOMAIN_EVTCHN_FIFO, FIFO_CHANNEL, XEN_CONSUMER } from './state-layout';

// Copies in this module: constants to the compiler, where an import is a property that is looked up per event.
const FIFO = FIFO_CHANNEL;
const CONSUMER = XEN_CONSUMER;

export interface PortOps {
  // On channels that are usable by the guest (not free, reserved or the hypervisor's own), their lock held.

  /** Makes the port pending and, by the ABI's rules, announces that to `vcpu`. */
  setPending(domain: HvDomain, vcpu: HvVcpu, port: number): void;
  clearPending(domain: HvDomain, port: number): void;
  /** Unmasks the port and, by the ABI's rules, announces to `vcpu` an event that is pending. */
  unmask(domain: HvDomain, vcpu: HvVcpu, port: number): void;
  isPending(domain: HvDomain, port: number): boolean;
  isMasked(domain: HvDomain, port: number): boolean;

  // On valid ports in any state.

  /** A port is coming into use. Precondition: event_lock held. */
  init(domain: HvDomain, port: number): void;
  /** True for a free port that cannot be given out yet. Precondition: event_lock held. */
  isBusy(domain: HvDomain, port: number): boolean;
  /**
   * @param usable - by the guest
   * @returns 0 or a negated errno
   */
  setPriority(domain: HvDomain, port: number, usable: boolean, priority: number): number;
  /** Number of ports that the ABI has. */
  capacity(domain: HvDomain): number;
}

/** Both ABIs, and the choice between them. */
export class PortAbis {
  constructor(
    private readonly twoLevel: PortOps,
    private readonly fifo: PortOps,
  ) {}

  /**
   * The operations of a channel that is usable by the guest.
   * @param state - its state word
   */
  of(state: number): PortOps {
    return (state & FIFO) === 0 ? this.twoLevel : this.fifo;
  }

  /** The operations of a domain's ports in any state. */
  ofDomain(domain: HvDomain): PortOps {
    return usesFifo(domain) ? this.fifo : this.twoLevel;
  }

  /**
   * A state word with the mark of the domain's ABI. Precondition: event_lock held.
   * @param state - ECS_* of a channel in use, or'ed with XEN_CONSUMER where it applies
   */
  mark(domain: HvDomain, state: number): number {
    return (state & CONSUMER) === 0 && usesFifo(domain) ? state | FIFO : state;
  }
}

function usesFifo(domain: HvDomain): boolean {
  return domain.state.read32(DOMAIN_EVTCHN_FIFO) !== 0;
}
