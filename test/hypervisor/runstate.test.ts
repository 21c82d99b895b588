import { expect } from 'chai';
import { type AbiName, Errno, layoutOf, RUNSTATE, VMASST } from '../../lib/abi';
import type { HvVcpu } from '../../lib/hypervisor/hypervisor';
import { RunstateRecord } from '../../lib/hypervisor/runstate';
import { vmAssist } from '../../lib/hypervisor/vm-assist';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { quiet, TestMachine } from './support/machine';

const AREA = 0x9000;
const { RUNSTATE_blocked, RUNSTATE_offline, RUNSTATE_running } = RUNSTATE;

function recordOf(machine: TestMachine, vcpu: HvVcpu): RunstateRecord {
  const record = new RunstateRecord();
  expect(machine.hypervisor.vcpuOps.getRunstateInfo(vcpu, vcpu.vcpuId, record)).to.equal(0);
  return record;
}

/** The copy in guest memory: state, entry time, times. */
function areaOf(machine: TestMachine, address = AREA): number[] {
  const { abi, guest } = machine.domain(1);
  const { fields } = layoutOf(abi, 'vcpu_runstate_info');
  const bytes = (at: number, count: number) =>
    Array.from({ length: count }, (_, i) => guest.read8(address + at + i) * 2 ** (8 * i)).reduce((a, b) => a + b, 0);
  const times = [0, 1, 2, 3].map((i) => bytes((fields.time?.offset as number) + i * 8, 8));
  return [bytes(0, 4), bytes(fields.state_entry_time?.offset as number, 8), ...times];
}

describe('vcpu_runstate_get', () => {
  it('adds up where the time went, the present span included', () => {
    const machine = new TestMachine([quiet({ id: 1 })]);
    const { platform } = machine;
    const { sched } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    platform.timeNs = 100;
    sched.switchIn(current);
    platform.timeNs = 350;
    platform.asleep = () => {
      platform.timeNs = 1000;
      expect(recordOf(machine, current)).to.include({ state: RUNSTATE_blocked, blocked: 650, stateEntryTimeNs: 350 });
    };
    sched.block(current);
    platform.timeNs = 1001;
    expect(recordOf(machine, current)).to.deep.include({
      state: RUNSTATE_running,
      stateEntryTimeNs: 1000,
      running: 251,
      runnable: 0,
      blocked: 650,
      offline: 100,
    });
  });

  it('counts a vCPU that is down as offline', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 2 })]);
    const current = machine.vcpu(1, 1);
    machine.hypervisor.sched.switchIn(current);
    machine.platform.asleep = () => {
      machine.platform.timeNs = 70;
      expect(recordOf(machine, current)).to.include({ state: RUNSTATE_offline, offline: 70 });
      machine.hypervisor.vcpuOps.up(machine.vcpu(1, 0), 1);
    };
    machine.hypervisor.vcpuOps.down(current, 1);
    expect(recordOf(machine, current).state).to.equal(RUNSTATE_running);
  });
});

describe('a runstate area', () => {
  for (const [abi, address] of [
    ['x86_64', AREA],
    ['x86_32', AREA],
    ['arm64', AREA],
    ['x86_64', AREA + 1],
  ] as [AbiName, number][]) {
    it(`is written at once and at every switch, ${abi}, at offset ${address % 4}`, () => {
      const machine = new TestMachine([quiet({ id: 1, abi })]);
      const { platform } = machine;
      const { sched, vcpuOps } = machine.hypervisor;
      const current = machine.vcpu(1, 0);
      platform.timeNs = 2 ** 34;
      sched.switchIn(current);
      expect(vcpuOps.registerRunstateMemoryArea(current, 0, address)).to.equal(0);
      expect(areaOf(machine, address)).to.deep.equal([RUNSTATE_running, 2 ** 34, 0, 0, 0, 2 ** 34]);
      platform.asleep = () => {
        expect(areaOf(machine, address)).to.deep.equal([RUNSTATE_blocked, 2 ** 34 + 5, 5, 0, 0, 2 ** 34]);
        platform.timeNs += 20;
      };
      platform.timeNs += 5;
      sched.block(current);
      expect(areaOf(machine, address)).to.deep.equal([RUNSTATE_running, 2 ** 34 + 25, 5, 0, 20, 2 ** 34]);
    });
  }

  it('must be writable memory', () => {
    const machine = new TestMachine([quiet({ id: 1, frames: 16, readOnlyFrames: [12] })]);
    const { vcpuOps } = machine.hypervisor;
    for (const bad of [0, 100, 12 * 4096, 12 * 4096 - 8, 16 * 4096 - 8, -8, 2 ** 60, Number.NaN]) {
      expect(vcpuOps.registerRunstateMemoryArea(machine.vcpu(1, 0), 0, bad), String(bad)).to.equal(-Errno.EFAULT);
    }
    expect(vcpuOps.registerRunstateMemoryArea(machine.vcpu(1, 0), 1, AREA)).to.equal(-Errno.ENOENT);
  });

  it('carries the update flag while it changes, if the guest asked for that or gave a physical address', () => {
    const flags: string[] = [];
    /** Notes the upper half of state_entry_time at every store to the area. */
    class WatchedMemory extends AtomicsMemory {
      override write32(address: number, value: number): void {
        super.write32(address, value);
        if (address >= AREA && address < AREA + 48) flags.push(this.read32(AREA + 12) < 0 ? 'set' : 'clear');
      }
    }
    const machine = new TestMachine([quiet({ id: 1 })], {}, (buffer) => new WatchedMemory(buffer));
    const { sched, vcpuOps } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    const storesOf = (action: () => void): string[] => {
      flags.length = 0;
      action();
      return [...flags];
    };
    expect(storesOf(() => vcpuOps.registerRunstateMemoryArea(current, 0, AREA))).not.to.include('set');
    vmAssist(current, VMASST.VMASST_CMD_enable, VMASST.VMASST_TYPE_runstate_update_flag);
    const flagged = storesOf(() => sched.switchIn(current));
    expect(flagged.at(-1)).to.equal('clear');
    expect(flagged.slice(0, -1)).to.deep.equal(new Array(flagged.length - 1).fill('set'));
    vmAssist(current, VMASST.VMASST_CMD_disable, VMASST.VMASST_TYPE_runstate_update_flag);
    expect(storesOf(() => sched.switchIn(current))).not.to.include('set');
    expect(storesOf(() => vcpuOps.registerRunstatePhysArea(current, 0, AREA))).to.include('set');
    expect(vcpuOps.registerRunstatePhysArea(current, 0, undefined)).to.equal(0);
    expect(storesOf(() => sched.switchIn(current))).to.deep.equal([]);
  });
});

describe('vm_assist', () => {
  it('knows the types of the ABI', () => {
    const machine = new TestMachine([
      quiet({ id: 1 }),
      quiet({ id: 2, abi: 'x86_32' }),
      quiet({ id: 3, abi: 'arm64' }),
    ]);
    const valid = (id: number) =>
      Array.from({ length: 64 }, (_, type) => type).filter((type) => vmAssist(machine.vcpu(id, 0), 0, type) === 0);
    expect(valid(1)).to.deep.equal([0, 1, 2, 3, 4, 5, 32]);
    expect(valid(2)).to.deep.equal([0, 1, 2, 3, 4, 5]);
    expect(valid(3)).to.deep.equal([5]);
    expect(vmAssist(machine.vcpu(1, 0), 2, 5)).to.equal(-Errno.ENOSYS);
    expect(vmAssist(machine.vcpu(1, 0), 2, 6)).to.equal(-Errno.EINVAL);
  });
});
