import { expect } from 'chai';
import { ABI_NAMES, Errno, SHUTDOWN_poweroff } from '../../lib/abi';
import { PauseFlag } from '../../lib/hypervisor/platform';
import { RunstateRecord } from '../../lib/hypervisor/runstate';
import { quiet, TestMachine } from './support/machine';

const { EACCES, EBUSY, EEXIST, EINVAL, ENOENT, ENXIO } = Errno;

describe('VCPUOP_initialise and VCPUOP_up', () => {
  it('bring up a vCPU, in that order', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 2, onlineVcpus: 'boot' })]);
    const { vcpuOps } = machine.hypervisor;
    const boot = machine.vcpu(1, 0);
    expect([vcpuOps.isUp(boot, 0), vcpuOps.isUp(boot, 1)]).to.deep.equal([1, 0]);
    expect(vcpuOps.up(boot, 1)).to.equal(-EINVAL, 'not initialised');
    expect(vcpuOps.initialise(boot, 1)).to.equal(0);
    expect(vcpuOps.initialise(boot, 1)).to.equal(-EEXIST);
    expect(vcpuOps.initialise(boot, 0)).to.equal(-EEXIST);
    expect(vcpuOps.isUp(boot, 1)).to.equal(0);
    expect(vcpuOps.up(boot, 1)).to.equal(0);
    expect(vcpuOps.isUp(boot, 1)).to.equal(1);
    expect(vcpuOps.up(boot, 1)).to.equal(0, 'up already');
    for (const op of [vcpuOps.initialise, vcpuOps.up, vcpuOps.down, vcpuOps.isUp]) {
      expect(op.call(vcpuOps, boot, 2)).to.equal(-ENOENT);
      expect(op.call(vcpuOps, boot, -1)).to.equal(-ENOENT);
    }
  });

  it('want a vcpu_info first, where the shared page has no slot', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 33, onlineVcpus: 'boot' })]);
    const { vcpuOps } = machine.hypervisor;
    const boot = machine.vcpu(1, 0);
    expect(vcpuOps.hasInfo(boot, 32)).to.equal(false);
    expect(vcpuOps.initialise(boot, 32)).to.equal(-EINVAL);
    expect(vcpuOps.registerVcpuInfo(boot, 32, 20, 0)).to.equal(0);
    expect(vcpuOps.hasInfo(boot, 32)).to.equal(true);
    expect(vcpuOps.initialise(boot, 32)).to.equal(0);
    expect(vcpuOps.up(boot, 32)).to.equal(0);
  });

  it('wake the thread of a vCPU that waits to be brought up', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 2, onlineVcpus: 'boot' })]);
    const { vcpuOps } = machine.hypervisor;
    const { state } = machine.domain(1);
    const other = machine.vcpu(1, 1);
    state.or32(other.pauseFlagsAddress, PauseFlag.PARKED);
    vcpuOps.initialise(machine.vcpu(1, 0), 1);
    vcpuOps.up(machine.vcpu(1, 0), 1);
    expect(state.read32(other.pauseFlagsAddress)).to.equal(PauseFlag.PARKED, 'which is its own flag');
  });
});

describe('VCPUOP_down', () => {
  it('stops the caller until it is brought up again', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 2 })]);
    const { vcpuOps } = machine.hypervisor;
    machine.platform.asleep = () => {
      expect(vcpuOps.isUp(machine.vcpu(1, 0), 1)).to.equal(0);
      vcpuOps.up(machine.vcpu(1, 0), 1);
    };
    expect(vcpuOps.down(machine.vcpu(1, 1), 1)).to.equal(0);
    expect(machine.platform.sleeps).to.deep.equal(['d1v1']);
  });

  it('marks another vCPU', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 2 })]);
    const { vcpuOps } = machine.hypervisor;
    expect(vcpuOps.down(machine.vcpu(1, 0), 1)).to.equal(0);
    expect(vcpuOps.isUp(machine.vcpu(1, 0), 1)).to.equal(0);
    expect(machine.platform.sleeps).to.deep.equal([]);
  });

  it('shuts the domain down with the last vCPU that is up', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 2 })]);
    const { vcpuOps } = machine.hypervisor;
    vcpuOps.down(machine.vcpu(1, 0), 1);
    expect(vcpuOps.down(machine.vcpu(1, 0), 0)).to.equal(0);
    expect(machine.platform.shutdowns).to.deep.equal([{ domainId: 1, code: SHUTDOWN_poweroff }]);
    expect(vcpuOps.isUp(machine.vcpu(1, 0), 0)).to.equal(1);
  });

  it('keeps a vCPU asleep that an event has woken', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 2 })]);
    const { evtchn, sched, vcpuOps } = machine.hypervisor;
    const port = evtchn.bindIpi(machine.vcpu(1, 0), 1);
    machine.platform.asleep = () => {
      vcpuOps.down(machine.vcpu(1, 0), 1);
      evtchn.send(machine.vcpu(1, 0), port);
    };
    machine.observer.take();
    sched.block(machine.vcpu(1, 1));
    expect(machine.observer.take()).not.to.include('woken d1v1');
    expect(machine.isBlocked(machine.vcpu(1, 1))).to.equal(false);
  });
});

describe('VCPUOP_register_vcpu_info', () => {
  const FRAME = 20;

  for (const abi of ABI_NAMES) {
    it(`moves the structure and makes the vCPU look at everything, ${abi}`, () => {
      const machine = new TestMachine([quiet({ id: 1, vcpus: 2, abi })]);
      const { evtchn, vcpuOps } = machine.hypervisor;
      const current = machine.vcpu(1, 0);
      const { domain } = current;
      const port = evtchn.bindIpi(current, 0);
      machine.observer.take();
      expect(vcpuOps.registerVcpuInfo(current, 0, FRAME, 64)).to.equal(0);
      expect(machine.hypervisor.vcpuInfoAddress(current)).to.equal(FRAME * 4096 + 64);
      expect(machine.observer.take()).to.deep.equal(['kicked d1v0']);
      expect(machine.selector(current)).to.have.length(domain.constants.BITS_PER_EVTCHN_WORD);
      expect(machine.upcallMask(current), 'copied').to.equal(domain.isX86 ? 1 : 0);
      machine.acknowledge(current);
      evtchn.send(current, port);
      expect(machine.upcallPending(current)).to.equal(1);
      expect(domain.guest.read8(domain.sharedInfoAddress), 'the old place').to.equal(0);
    });
  }

  it('kicks nobody if an upcall is pending already', () => {
    const machine = new TestMachine([quiet({ id: 1 })]);
    const current = machine.vcpu(1, 0);
    machine.hypervisor.evtchn.send(current, machine.hypervisor.evtchn.bindIpi(current, 0));
    machine.observer.take();
    machine.hypervisor.vcpuOps.registerVcpuInfo(current, 0, FRAME, 0);
    expect(machine.observer.take()).to.deep.equal([]);
    expect(machine.upcallPending(current)).to.equal(1);
  });

  it('copies the time record and writes it anew', () => {
    const machine = new TestMachine([quiet({ id: 1 })]);
    const current = machine.vcpu(1, 0);
    machine.hypervisor.vcpuOps.registerVcpuInfo(current, 0, FRAME, 0);
    expect(current.domain.guest.read32(FRAME * 4096 + current.domain.timeOffset)).to.equal(4);
  });

  it('gives a vCPU beyond the shared page a place, upcalls masked on x86', () => {
    for (const [abi, vcpuId, mask] of [
      ['x86_64', 32, 1],
      ['arm64', 1, 0],
    ] as const) {
      const machine = new TestMachine([quiet({ id: 1, abi, vcpus: 33 })]);
      const vcpu = machine.vcpu(1, vcpuId);
      expect(machine.hypervisor.vcpuOps.registerVcpuInfo(machine.vcpu(1, 0), vcpuId, FRAME, 128)).to.equal(0);
      expect(machine.upcallPending(vcpu)).to.equal(1);
      expect(machine.upcallMask(vcpu)).to.equal(mask);
    }
  });

  it('checks in the order of Xen', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 2, frames: 32, readOnlyFrames: [21] })]);
    const { vcpuOps } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    const register = (vcpuId: number, mfn: number, offset: number) =>
      vcpuOps.registerVcpuInfo(current, vcpuId, mfn, offset);
    expect(register(2, FRAME, 4096)).to.equal(-ENOENT);
    expect(register(1, FRAME, 4096)).to.equal(-EINVAL);
    expect(register(1, 2 ** 52, 0)).to.equal(-EINVAL);
    expect(register(1, 32, 4095)).to.equal(-ENXIO, 'place before frame');
    expect(register(1, FRAME, 4)).to.equal(-ENXIO, 'alignment');
    expect(register(1, FRAME, 4096 - 56)).to.equal(-ENXIO, 'crosses the frame');
    expect(register(1, 32, 0)).to.equal(-EINVAL);
    expect(register(1, -1, 0)).to.equal(-EINVAL);
    expect(register(1, 21, 0)).to.equal(-EACCES);
    expect(register(1, FRAME, 4096 - 64)).to.equal(0);
    expect(register(1, 32, 4095)).to.equal(-EBUSY, 'once only, before place and frame');
    expect(register(1, FRAME, 4096)).to.equal(-EINVAL, 'but after an impossible offset');
  });

  it('is content with 4 bytes of alignment on x86_32', () => {
    const machine = new TestMachine([quiet({ id: 1, abi: 'x86_32' })]);
    expect(machine.hypervisor.vcpuOps.registerVcpuInfo(machine.vcpu(1, 0), 0, FRAME, 4)).to.equal(0);
  });
});

describe('VCPUOP on Arm', () => {
  it('knows only the two registrations', () => {
    const machine = new TestMachine([quiet({ id: 1, abi: 'arm64' })]);
    const { vcpuOps } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    const results = [
      vcpuOps.initialise(current, 0),
      vcpuOps.up(current, 0),
      vcpuOps.down(current, 0),
      vcpuOps.isUp(current, 0),
      vcpuOps.getRunstateInfo(current, 0, new RunstateRecord()),
      vcpuOps.setPeriodicTimer(current, 0, 1e7),
      vcpuOps.stopPeriodicTimer(current, 0),
      vcpuOps.setSingleshotTimer(current, 0, 1e7, 0),
      vcpuOps.stopSingleshotTimer(current, 0),
      vcpuOps.registerRunstatePhysArea(current, 0, 0x9000),
      vcpuOps.registerVcpuTimeMemoryArea(current, 0, 0x9000),
      vcpuOps.registerVcpuTimePhysArea(current, 0, 0x9000),
    ];
    expect(results).to.deep.equal(results.map(() => -EINVAL));
    expect(vcpuOps.registerRunstateMemoryArea(current, 0, 0x9000)).to.equal(0);
  });
});
