import { expect } from 'chai';
import { Errno, VIRQ_TIMER } from '../../lib/abi';
import { type DomainConfig, domainConfig } from '../../lib/hypervisor/image';
import { quiet, TestMachine } from './support/machine';

const { EINVAL, ENOENT, ENOSYS } = Errno;
const MS = 1_000_000;

/** A machine whose vCPUs all have VIRQ_TIMER bound, and a count of ticks at vCPU 0 since the last look. */
function machineOf(given: Partial<DomainConfig> = {}) {
  const machine = new TestMachine([quiet({ id: 1, vcpus: 2, ...given })]);
  const current = machine.vcpu(1, 0);
  for (const id of [0, 1]) machine.hypervisor.evtchn.bindVirq(current, VIRQ_TIMER, id);
  const ticks = (): number => {
    const count = machine.observer.take().filter((event) => event.startsWith('raised')).length;
    machine.acknowledge(current);
    return count;
  };
  return { machine, current, ticks, timers: machine.hypervisor.timers, platform: machine.platform };
}

describe('set_timer_op', () => {
  it('fires once, at its deadline', () => {
    const { current, machine, ticks, timers } = machineOf();
    timers.setTimerOp(current, 5000);
    expect(machine.hypervisor.runExpiredTimers(4999)).to.equal(5000);
    expect(ticks()).to.equal(0);
    expect(machine.hypervisor.runExpiredTimers(5000)).to.equal(Number.POSITIVE_INFINITY);
    expect(ticks()).to.equal(1);
    machine.hypervisor.runExpiredTimers(9000);
    expect(ticks()).to.equal(0);
  });

  it('is replaced by the next call, and stopped by 0', () => {
    const { current, machine, platform, ticks, timers } = machineOf();
    timers.setTimerOp(current, 5000);
    timers.setTimerOp(current, 7000);
    expect(machine.hypervisor.nextDeadline()).to.equal(7000);
    timers.setTimerOp(current, 0);
    expect(machine.hypervisor.runExpiredTimers(9000)).to.equal(Number.POSITIVE_INFINITY);
    expect(ticks()).to.equal(0);
    expect(platform.deadlines).to.deep.equal([5000, 7000, Number.POSITIVE_INFINITY]);
  });

  it('fires at once for a deadline that has passed', () => {
    const { current, platform, ticks, timers } = machineOf();
    platform.timeNs = 6000;
    timers.setTimerOp(current, 6000);
    expect(ticks()).to.equal(1);
  });

  it('replaces a deadline that is negative or 13 days ahead by 100 ms from now', () => {
    for (const odd of [-1, -(2 ** 62), 2 ** 50 + 1000, Number.POSITIVE_INFINITY]) {
      const { current, machine, platform, timers } = machineOf();
      platform.timeNs = 1000;
      timers.setTimerOp(current, odd);
      expect(machine.hypervisor.nextDeadline(), String(odd)).to.equal(1000 + 100 * MS);
    }
    const { current, machine, timers } = machineOf();
    timers.setTimerOp(current, 2 ** 50 - 1);
    expect(machine.hypervisor.nextDeadline()).to.equal(2 ** 50 - 1);
  });

  it('does not exist on Arm', () => {
    const machine = new TestMachine([quiet({ id: 1, abi: 'arm64' })]);
    expect(machine.hypervisor.timers.setTimerOp(machine.vcpu(1, 0), 1)).to.equal(-ENOSYS);
  });
});

describe('VCPUOP_set_singleshot_timer', () => {
  it('is the same timer, but takes 0 for a deadline that has passed', () => {
    const { current, machine, platform, ticks, timers } = machineOf();
    const { vcpuOps } = machine.hypervisor;
    platform.timeNs = 100;
    timers.setTimerOp(current, 5000);
    expect(vcpuOps.setSingleshotTimer(current, 0, 0, 0)).to.equal(0);
    expect(ticks()).to.equal(1);
    expect(machine.hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
    expect(vcpuOps.setSingleshotTimer(current, 0, 2 ** 63, 1)).to.equal(0);
    expect(machine.hypervisor.nextDeadline()).to.equal(2 ** 62, 'as good as never');
    expect(vcpuOps.stopSingleshotTimer(current, 0)).to.equal(0);
    expect(machine.hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
  });

  it('is for the calling vCPU only', () => {
    const { current, machine } = machineOf();
    const { vcpuOps } = machine.hypervisor;
    expect(vcpuOps.setSingleshotTimer(current, 1, 5, 0)).to.equal(-EINVAL);
    expect(vcpuOps.stopSingleshotTimer(current, 1)).to.equal(-EINVAL);
    expect(vcpuOps.setSingleshotTimer(current, 2, 5, 0)).to.equal(-ENOENT);
  });

  it('wakes a blocked vCPU', () => {
    const { current, machine } = machineOf();
    machine.hypervisor.vcpuOps.setSingleshotTimer(current, 0, 5000, 0);
    machine.platform.asleep = () => {
      machine.hypervisor.runExpiredTimers(5000);
      expect(machine.isBlocked(current)).to.equal(false);
    };
    machine.hypervisor.sched.block(current);
    expect(machine.platform.sleeps).to.have.length(1);
  });
});

describe('VCPUOP_set_periodic_timer', () => {
  it('ticks once per period while the vCPU runs', () => {
    const { current, machine, platform, ticks } = machineOf();
    const { hypervisor } = machine;
    platform.timeNs = 100 * MS;
    expect(hypervisor.vcpuOps.setPeriodicTimer(current, 0, 2 * MS)).to.equal(0);
    expect(ticks()).to.equal(1, 'the first at once: a period has passed since boot');
    for (let i = 1; i <= 3; i++) {
      platform.timeNs = (100 + 2 * i) * MS;
      expect(hypervisor.nextDeadline()).to.equal(platform.timeNs);
      hypervisor.runExpiredTimers(platform.timeNs);
      expect(ticks()).to.equal(1);
    }
    expect(hypervisor.vcpuOps.stopPeriodicTimer(current, 0)).to.equal(0);
    expect(hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
  });

  it('neither ticks for nor wakes a blocked vCPU, and makes up for it with one tick', () => {
    const { current, machine, platform, ticks } = machineOf();
    const { hypervisor } = machine;
    hypervisor.vcpuOps.setPeriodicTimer(current, 0, 10 * MS);
    platform.asleep = () => {
      expect(hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
      platform.timeNs = 75 * MS;
      hypervisor.runExpiredTimers(platform.timeNs);
      expect(ticks()).to.equal(0);
      expect(machine.isBlocked(current)).to.equal(true);
    };
    hypervisor.sched.block(current);
    expect(ticks()).to.equal(1);
    expect(hypervisor.nextDeadline()).to.equal(85 * MS);
  });

  it('takes periods of 1 ms to 2^62 - 1 ns, for any vCPU of the domain', () => {
    const { current, machine } = machineOf();
    const { vcpuOps } = machine.hypervisor;
    for (const bad of [0, MS - 1, 2 ** 62, -1, Number.NaN]) {
      expect(vcpuOps.setPeriodicTimer(current, 0, bad)).to.equal(-EINVAL);
    }
    expect(vcpuOps.setPeriodicTimer(current, 1, MS)).to.equal(0);
    expect(vcpuOps.setPeriodicTimer(current, 2, MS)).to.equal(-ENOENT);
    expect(vcpuOps.stopPeriodicTimer(current, 1)).to.equal(0);
  });

  it('is running at 10 ms when an x86 vCPU starts', () => {
    const machine = new TestMachine([domainConfig({ id: 1 }), domainConfig({ id: 2, abi: 'arm64' })]);
    for (const id of [1, 2]) machine.hypervisor.sched.switchIn(machine.vcpu(id, 0));
    expect(machine.hypervisor.nextDeadline()).to.equal(10 * MS);
    machine.hypervisor.sched.switchOut(machine.vcpu(1, 0));
    expect(machine.hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
  });
});

describe('the timer source', () => {
  it('fires all that is due and names the next deadline', () => {
    const { current, machine, platform, ticks, timers } = machineOf();
    timers.setTimerOp(current, 3000);
    timers.setTimerOp(machine.vcpu(1, 1), 2000);
    machine.hypervisor.vcpuOps.setPeriodicTimer(current, 0, MS);
    platform.timeNs = 3000;
    expect(machine.hypervisor.nextDeadline()).to.equal(2000);
    expect(machine.hypervisor.runExpiredTimers(3000)).to.equal(MS);
    expect(ticks()).to.equal(2);
  });
});
