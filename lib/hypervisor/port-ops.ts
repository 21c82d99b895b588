/**
 * The operations that differ between the event-channel ABIs. Callers have made sure that the port is valid and its
 * channel usable by the guest (not free, reserved or the hypervisor's own), and hold the channel's lock.
 *
 * @source xen/include/xen/event.h, struct evtchn_port_ops
 */
import type { HvDomain, HvVcpu } from './machine';

export interface PortOps {
  /** Makes the port pending and, by the ABI's rules, announces that to `vcpu`. */
  setPending(domain: HvDomain, vcpu: HvVcpu, port: number): void;
  clearPending(domain: HvDomain, port: number): void;
  /** Unmasks the port and, by the ABI's rules, announces to `vcpu` an event that is pending. */
  unmask(domain: HvDomain, vcpu: HvVcpu, port: number): void;
  isPending(domain: HvDomain, port: number): boolean;
  isMasked(domain: HvDomain, port: number): boolean;
}
