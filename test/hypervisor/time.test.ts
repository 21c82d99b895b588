import { expect } from 'chai';
import { type AbiName, layoutOf } from '../../lib/abi';
import type { HvVcpu } from '../../lib/hypervisor/machine';
import { offsetOf, quiet, TestMachine } from './support/machine';

/** vcpu_time_info as numbers. */
function timeInfo(machine: TestMachine, vcpu: HvVcpu, at = machine.hypervisor.vcpuInfoAddress(vcpu)) {
  const { domain } = vcpu;
  const base = at === machine.hypervisor.vcpuInfoAddress(vcpu) ? at + offsetOf(domain, 'vcpu_info', 'time') : at;
  const field = (name: string) => base + offsetOf(domain, 'vcpu_time_info', name);
  const pair = (name: string) =>
    (domain.guest.read32(field(name)) >>> 0) + (domain.guest.read32(field(name) + 4) >>> 0) * 2 ** 32;
  return {
    version: domain.guest.read32(field('version')),
    tsc: pair('tsc_timestamp'),
    system: pair('system_time'),
    mul: domain.guest.read32(field('tsc_to_system_mul')) >>> 0,
    shift: domain.guest.read8(field('tsc_shift')),
    flags: domain.guest.read8(field('flags')),
  };
}

function wallclock(machine: TestMachine, domainId: number) {
  const domain = machine.domain(domainId);
  const word = (name: string) =>
    domain.guest.read32(domain.sharedInfoAddress + offsetOf(domain, 'shared_info', name)) >>> 0;
  const high =
    domain.abi === 'x86_32'
      ? domain.guest.read32(
          domain.sharedInfoAddress +
            offsetOf(domain, 'shared_info', 'arch') +
            (layoutOf(domain.abi, 'arch_shared_info').fields.wc_sec_hi?.offset as number),
        )
      : word('wc_sec_hi');
  return { version: word('wc_version'), sec: word('wc_sec'), high, nsec: word('wc_nsec') };
}

const ONE_GHZ = { mul: 0x80000000, shift: 1, flags: 1 };

describe('vcpu_time_info', () => {
  it('is there from the start, for a clock of 1 GHz', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 3 })]);
    for (let id = 0; id < 3; id++) {
      expect(timeInfo(machine, machine.vcpu(1, id))).to.deep.equal({ version: 2, tsc: 0, system: 0, ...ONE_GHZ });
    }
  });

  it('gives nanoseconds for ticks by the formula of the reader', () => {
    const machine = new TestMachine([quiet({ id: 1 })]);
    const { mul, shift } = timeInfo(machine, machine.vcpu(1, 0));
    for (const ticks of [1n, 999n, 123_456_789_012n]) {
      expect(((ticks << BigInt(shift)) * BigInt(mul)) >> 32n).to.equal(ticks);
    }
  });

  it('is rewritten on the next switch-in after a calibration, and only then', () => {
    const machine = new TestMachine([quiet({ id: 1 })]);
    const { hypervisor, platform } = machine;
    const current = machine.vcpu(1, 0);
    platform.timeNs = 2 ** 33 + 7;
    hypervisor.sched.switchIn(current);
    expect(timeInfo(machine, current).version).to.equal(2);
    hypervisor.time.calibrate();
    hypervisor.sched.switchIn(current);
    hypervisor.sched.switchIn(current);
    const stamp = 2 ** 33 + 7;
    expect(timeInfo(machine, current)).to.deep.equal({ version: 4, tsc: stamp, system: stamp, ...ONE_GHZ });
    hypervisor.updateVcpuTime(current);
    expect(timeInfo(machine, current).version).to.equal(6);
  });

  it('moves by 3 from a version that the guest has left odd', () => {
    const machine = new TestMachine([quiet({ id: 1 })]);
    const current = machine.vcpu(1, 0);
    const version = machine.hypervisor.vcpuInfoAddress(current) + offsetOf(current.domain, 'vcpu_info', 'time');
    current.domain.guest.write32(version, 7);
    machine.hypervisor.updateVcpuTime(current);
    expect(current.domain.guest.read32(version)).to.equal(10);
  });

  it('stays zero on Arm, and where the machine keeps no time', () => {
    const machine = new TestMachine([quiet({ id: 1, abi: 'arm64' }), quiet({ id: 2, timekeeping: false })]);
    const { hypervisor } = machine;
    hypervisor.time.calibrate();
    for (const id of [1, 2]) {
      hypervisor.sched.switchIn(machine.vcpu(id, 0));
      hypervisor.updateVcpuTime(machine.vcpu(id, 0));
      expect(timeInfo(machine, machine.vcpu(id, 0)).version).to.equal(0);
    }
    expect(wallclock(machine, 2).version).to.equal(0);
  });

  it('has a copy, with the same version, where the guest registers one', () => {
    const machine = new TestMachine([quiet({ id: 1 })]);
    const current = machine.vcpu(1, 0);
    expect(machine.hypervisor.vcpuOps.registerVcpuTimeMemoryArea(current, 0, 0x9000)).to.equal(0);
    expect(timeInfo(machine, current, 0x9000)).to.deep.equal(timeInfo(machine, current));
    machine.platform.timeNs = 55;
    machine.hypervisor.time.calibrate();
    machine.hypervisor.sched.switchIn(current);
    expect(timeInfo(machine, current, 0x9000)).to.deep.equal({ ...timeInfo(machine, current), tsc: 55 });
    expect(machine.hypervisor.vcpuOps.registerVcpuTimePhysArea(current, 0, undefined)).to.equal(0);
    machine.hypervisor.updateVcpuTime(current);
    expect(timeInfo(machine, current, 0x9000).version).to.be.lessThan(timeInfo(machine, current).version);
  });
});

describe('the wallclock', () => {
  for (const abi of ['x86_64', 'x86_32', 'arm64'] as AbiName[]) {
    it(`is that of system time 0, in 64 bits of seconds, ${abi}`, () => {
      const wallclockSec = 5 * 2 ** 32 + 9;
      const machine = new TestMachine([quiet({ id: 1, abi })], { wallclockSec, wallclockNsec: 17 });
      expect(wallclock(machine, 1)).to.deep.equal({ version: 2, sec: 9, high: 5, nsec: 17 });
      machine.hypervisor.updateWallclock(6 * 2 ** 32 + 1, 3);
      expect(wallclock(machine, 1)).to.deep.equal({ version: 4, sec: 1, high: 6, nsec: 3 });
    });
  }

  it("includes the domain's offset", () => {
    const machine = new TestMachine([quiet({ id: 1 }), quiet({ id: 2 })], { wallclockSec: 1000 });
    machine.hypervisor.time.setTimeOffset(machine.domain(2), -30);
    expect(wallclock(machine, 1)).to.include({ version: 2, sec: 1000 });
    expect(wallclock(machine, 2)).to.include({ version: 4, sec: 970 });
    machine.hypervisor.updateWallclock(2000, 0);
    expect([wallclock(machine, 1).sec, wallclock(machine, 2).sec]).to.deep.equal([2000, 1970]);
  });

  it('does not change for a domain that was removed', () => {
    const machine = new TestMachine([quiet({ id: 1 }), quiet({ id: 2 })]);
    machine.hypervisor.killDomain(machine.domain(2));
    machine.hypervisor.removeDomain(machine.domain(2));
    machine.hypervisor.updateWallclock(2000, 0);
    expect(wallclock(machine, 2)).to.include({ version: 2, sec: 0 });
  });
});
