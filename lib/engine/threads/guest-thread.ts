/**
 * What the threads of vCPUs have in common, whether their machine runs once or over and over: how a guest begins, sleeps and
 * leaves. It leaves by returning, by throwing, or because the vCPU has to stop; the last unwinds its stack with a private
 * signal, thrown from the next window, hypercall or sleep, again and again should the guest swallow it.
 */
import { RUNSTATE_offline } from '../../abi';
import type { HvVcpu } from '../../hypervisor/machine';
import type { GuestVcpu } from '../guest-vcpu';
import type { VcpuMeter } from './control';
import type { MachineThread } from './machine-thread';
import type { Parking } from './parking';
import type { WindowedMemory } from './windowed-memory';

/** Unwinds a guest whose vCPU has to leave. No Error: it is no failure, and costs no stack trace. */
class StopSignal {
  readonly message = 'this vCPU is being stopped: rethrow what you do not know';
}
const STOP_SIGNAL = new StopSignal();

export type Guest = (vcpu: GuestVcpu) => unknown;

export abstract class GuestThread {
  abstract readonly machine: MachineThread;
  protected abstract readonly current: HvVcpu;
  protected abstract readonly vcpu: GuestVcpu;
  protected abstract readonly memory: WindowedMemory;
  protected abstract readonly parking: Parking;
  protected abstract readonly meter: VcpuMeter;

  /** The guest has thrown, or left what it must not leave. Told once. */
  protected abstract fail(thrown: unknown): void;

  /** The guest has returned. What this throws is the guest's failure. */
  protected abstract returned(result: unknown): void;

  /**
   * Runs the guest when its vCPU may run. Afterwards the vCPU is offline, and its meter says that it is in the hypervisor.
   * @param load - finds the guest; what it throws is the guest's failure
   */
  protected runGuest(load: () => Guest): void {
    const { runstates, sched } = this.machine.hypervisor;
    try {
      const guest = load();
      this.parking.waitUntilRunnable();
      this.leaveIfStopped();
      this.meter.enterHypervisor();
      sched.switchIn(this.current);
      this.meter.leaveHypervisor();
      this.returned(guest(this.vcpu));
    } catch (thrown) {
      if (thrown !== STOP_SIGNAL) this.fail(thrown);
    } finally {
      this.meter.enterHypervisor();
      sched.switchOut(this.current);
      runstates.change(this.current, RUNSTATE_offline);
    }
  }

  /** Sleeps until the vCPU may run. */
  protected deschedule(): void {
    // A hypercall that sleeps holds no lock and has left nothing half done.
    this.meter.leaveHypervisor();
    this.parking.waitUntilRunnable();
    this.meter.enterHypervisor();
    this.meter.countWake();
    this.leaveIfStopped();
  }

  protected leaveIfStopped(): void {
    if (!this.parking.stopping) return;
    this.meter.leaveHypervisor();
    throw STOP_SIGNAL;
  }

  // Of GuestHooks.

  upcallPossible(): boolean {
    return this.memory.upcallPending();
  }

  interrupted(): void {
    this.leaveIfStopped();
  }

  now(): number {
    return this.machine.clock.now();
  }

  cover(): void {}

  crash(cause: unknown): never {
    if (cause !== STOP_SIGNAL) this.fail(cause);
    throw STOP_SIGNAL;
  }
}
