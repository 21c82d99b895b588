/**
 * What the hypervisor needs from whoever executes the vCPUs. Engines implement it; the hypervisor imports no
 * engine.
 *
 * Sleeping and waking go through memory: a vCPU may run while its `pause_flags` word (private state) has
 * none of the bits of {@link PauseFlag} that stop it. The hypervisor sets and clears BLOCKED and DOWN and
 * calls {@link Platform.deschedule} on the vCPU's own thread; PARKED belongs to the free-running engine.
 */

/** Bits of a vCPU's pause_flags word. A vCPU is runnable while BLOCKED and DOWN are clear. */
export const PauseFlag = {
  /** Sleeping in SCHEDOP_block or SCHEDOP_poll; the waker test-and-clears it. */
  BLOCKED: 1,
  /** Not brought up yet, or taken down with VCPUOP_down. */
  DOWN: 2,
  /** Set by the free-running engine: the thread sleeps in wait32 on this word, so a waker must notify. */
  PARKED: 4,
  /** Set by the engine: the vCPU has to leave (domain shut down, run aborted). Wakes it whatever else is set. */
  STOP: 8,
} as const;

/** Names a vCPU: an immutable view, the same object for the whole run. */
export interface VcpuRef {
  readonly domainId: number;
  readonly vcpuId: number;
}

export interface Platform {
  /** System time: nanoseconds since the machine booted, from one 1 GHz clock common to all vCPUs. */
  now(): number;

  /**
   * Called on the vCPU's own thread before it goes to sleep in SCHEDOP_block: may watch for a moment whether
   * evtchn_upcall_pending gets set (halt polling), which spares both sides the sleep and the wake-up. True if it is set. The
   * time counts as running. Absent: never.
   */
  watch?(vcpu: VcpuRef): boolean;

  /**
   * Called on the vCPU's own thread, its BLOCKED or DOWN bit set: returns when both are clear (or, in the
   * free-running engine, unwinds the guest when STOP is set). Also called by SCHEDOP_shutdown, after
   * {@link domainShutdown}: the vCPU stops here for good.
   */
  deschedule(vcpu: VcpuRef): void;

  /** SCHEDOP_yield: lets somebody else run. */
  yield(vcpu: VcpuRef): void;

  /** A timer was armed or stopped; `deadlineNs` is its new expiry in system time, Infinity when stopped. */
  timerChanged(deadlineNs: number): void;

  /**
   * Text the domain wrote with CONSOLEIO_write.
   * @param bytes - borrowed: copy what is kept
   */
  consoleWrite(vcpu: VcpuRef, bytes: Uint8Array): void;

  /** The domain was shut down with a SHUTDOWN_* code: all its vCPUs are to stop. Returns to the caller. */
  domainShutdown(domainId: number, code: number): void;
}

/**
 * What an onlooker may want to know: for traces, statistics and conformance. Every method may be called on
 * any thread that runs hypervisor code and must not touch memory of the machine.
 */
export interface Observer {
  /** evtchn_upcall_pending of this vCPU went from 0 to 1. */
  kicked(domainId: number, vcpuId: number): void;
  /** This vCPU was blocked and became runnable. */
  woken(domainId: number, vcpuId: number): void;
  /** A port's pending bit went from 0 to 1. */
  raised(domainId: number, vcpuId: number, port: number): void;
  /** An event arrived at a port consumed by the hypervisor itself. */
  xenConsumer(domainId: number, vcpuId: number, port: number): void;
}

/** The onlooker nobody is. */
export const noObserver: Observer = {
  kicked() {},
  woken() {},
  raised() {},
  xenConsumer() {},
};
