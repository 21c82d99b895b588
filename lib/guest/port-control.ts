/**
 * What a guest does to single ports under either event-channel ABI, and how it takes an upcall. {@link Events} and the
 * locks are written against this interface; `open-ports.ts` chooses.
 */

/** Runs with upcalls disabled, on the stack of whatever it interrupted; must not block. */
export type EventHandler = (port: number) => void;

/** Handlers by port; holes are ports without one. */
export type Handlers = readonly (EventHandler | undefined)[];

/** One vCPU's hold on the ports of its domain. Its words are in memory; the object never changes. */
export interface PortControl {
  /** Masks every port of the domain. */
  maskAll(): void;
  /** Makes sure that the port can be used: to be called before anything else is done with it. */
  prepare(port: number): void;
  /** Keeps the port's events from being delivered; returns whether they were kept already. Full barrier. */
  mask(port: number): boolean;
  /** Delivers the port's events again, one that is pending included. */
  unmask(port: number): void;
  isPending(port: number): boolean;
  isMasked(port: number): boolean;
  /** Takes the port's event; returns whether there was one. Full barrier. */
  clearPending(port: number): boolean;
  /** Makes a port that stays masked pending, without the hypervisor: nobody is woken. */
  setPending(port: number): void;
  /** This vCPU serves the port from now on. */
  attach(port: number): void;
  /** This vCPU does not serve the port any more. */
  detach(port: number): void;
  /** Another vCPU serves it instead. */
  handOver(port: number, vcpuId: number): void;
  /** The port is VIRQ_TIMER's, which goes ahead of all others. */
  attachTimer(port: number): void;
  /**
   * The event callback of this vCPU.
   * @param handlers - borrowed: the owner changes it between accesses
   */
  dispatcher(handlers: Handlers): () => void;
}
