/**
 * The domains of a machine on threads as data, looked at from any thread at any time: without locks, which a thread that
 * was ended may hold, and without the marks by which the engine makes vCPUs leave.
 */
import { PauseFlag } from '../../hypervisor/platform';
import type { MachinePlan } from '../machine-plan';
import type { SnapshotOptions } from '../snapshot/domain';
import { snapshotOf } from '../snapshot/machine';
import { peekBuffers } from '../snapshot/onlooker';
import type { DomainSnapshot, VcpuSnapshot, VcpuState } from '../snapshot/schema';
import { type MachineThread, STOP_MARK } from './machine-thread';

const ENGINES_FLAGS = PauseFlag.STOP | PauseFlag.PARKED;

export class MachineOnlooker {
  private readonly peek;

  constructor(
    private readonly plan: MachinePlan,
    private readonly machine: MachineThread,
  ) {
    this.peek = peekBuffers(machine.hypervisor.image);
  }

  /** All domains as they are now, one after the other. */
  all(): DomainSnapshot[] {
    return this.plan.domains.map((_, index) => this.domain(index));
  }

  /** @param index - position of the domain in the machine */
  domain(index: number, options: Omit<SnapshotOptions, 'words' | 'nowNs'> = {}): DomainSnapshot {
    const { plan, machine } = this;
    const nowNs = machine.clock.now();
    const snapshot = snapshotOf(plan, machine.hypervisor, this.peek, index, { ...options, nowNs });
    return { ...snapshot, vcpus: snapshot.vcpus.map((vcpu) => this.vcpu(vcpu, machine.slotOf(index, vcpu.id))) };
  }

  private vcpu(vcpu: VcpuSnapshot, slot: number): VcpuSnapshot {
    return {
      ...vcpu,
      state: this.stateOf(vcpu, slot),
      pauseFlags: vcpu.pauseFlags & ~ENGINES_FLAGS,
      upcallPending: vcpu.upcallPending & ~STOP_MARK,
    };
  }

  /** A vCPU that was told to leave had not returned: it is what it was before. */
  private stateOf({ state, pauseFlags }: VcpuSnapshot, slot: number): VcpuState {
    const { control } = this.machine;
    if ((pauseFlags & PauseFlag.STOP) !== 0) return state;
    if (control.isFinished(slot)) return 'finished';
    return control.threadOf(slot) === 0 && state !== 'offline' ? 'starting' : state;
  }
}
