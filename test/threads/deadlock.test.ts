import { expect } from 'chai';
import { createControlBuffers } from '../../lib/engine/threads/control';
import { isDeadlocked } from '../../lib/engine/threads/deadlock';
import { MachineThread } from '../../lib/engine/threads/machine-thread';
import type { HvDomain } from '../../lib/hypervisor/hypervisor';
import { createMachineImage, domainConfig } from '../../lib/hypervisor/image';
import { PauseFlag } from '../../lib/hypervisor/platform';
import { initialiseMachine } from '../../lib/hypervisor/start-of-day';

const { BLOCKED, DOWN, PARKED } = PauseFlag;

/** A machine of two vCPUs without timers, with these pause flags; the timer thread sleeps. */
function isDeadlockedWith(...flags: readonly number[]): boolean {
  const image = createMachineImage([domainConfig({ id: 1, vcpus: flags.length, periodicTimerNs: 0 })]);
  const control = createControlBuffers({ vcpus: flags.length, domains: 1, threads: flags.length + 1 });
  const machine = new MachineThread({ runId: 'test', image, control, originNs: 0, row: 0 });
  initialiseMachine(machine.hypervisor);
  machine.control.planTimer(Number.POSITIVE_INFINITY);
  const domain = machine.hypervisor.domain(1) as HvDomain;
  for (const [id, value] of flags.entries()) {
    const vcpu = machine.hypervisor.vcpu(1, id);
    domain.state.write32(vcpu.pauseFlagsAddress, value);
  }
  return isDeadlocked(machine, [{ index: 0, domain, plan: { daemon: false } }]);
}

describe('a deadlock', () => {
  it('is found when the threads of all vCPUs sleep', () => {
    expect(isDeadlockedWith(BLOCKED | PARKED, BLOCKED | PARKED)).to.equal(true);
    expect(isDeadlockedWith(BLOCKED | PARKED, DOWN | PARKED)).to.equal(true);
    expect(isDeadlockedWith(BLOCKED | PARKED, 0)).to.equal(false);
  });

  it('is not taken for one while a vCPU that is marked blocked still looks whether there is something to sleep for', () => {
    expect(isDeadlockedWith(BLOCKED | PARKED, BLOCKED)).to.equal(false);
  });

  it('is not taken for one while a vCPU that was taken down still runs', () => {
    expect(isDeadlockedWith(BLOCKED | PARKED, DOWN)).to.equal(false);
  });
});
