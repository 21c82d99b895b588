import { expect } from 'chai';
import type { AbiName } from '../../lib/abi';
import { bringUp } from '../../lib/guest/boot';
import { Events } from '../../lib/guest/events';
import { irqEnable } from '../../lib/guest/irq';
import { KERNEL_BLOCK, kernelBlock, VCPU_INFO } from '../../lib/guest/kernel-area';
import { GuestMachine } from '../support/guest-machine';

/** Whether an IPI reaches the vCPU. */
function isReachable(machine: GuestMachine, id: number): boolean {
  let reached = false;
  const vcpu = machine.guest(id);
  const port = new Events(vcpu).bindIpi(() => {
    reached = true;
  });
  irqEnable(vcpu);
  machine.guest(0).hypercall.evtchn.send(port);
  vcpu.deliverUpcalls();
  return reached;
}

describe('bringUp', () => {
  it('starts a vCPU that has a slot in shared_info', () => {
    const machine = new GuestMachine({ vcpus: 3, onlineVcpus: 'boot' });
    const boot = machine.guest(0);
    expect(boot.hypercall.vcpu.isUp(2)).to.equal(false);
    bringUp(boot, 2);
    expect(boot.hypercall.vcpu.isUp(2)).to.equal(true);
    expect(boot.hypercall.vcpu.isUp(1)).to.equal(false);
    expect(isReachable(machine, 2)).to.equal(true);
  });

  it('registers a vcpu_info for the 33rd vCPU and later ones', () => {
    const machine = new GuestMachine({ vcpus: 128, onlineVcpus: 'boot' });
    for (const id of [31, 32, 127]) {
      bringUp(machine.guest(0), id);
      expect(machine.guest(0).hypercall.vcpu.isUp(id)).to.equal(true);
      expect(isReachable(machine, id), `vCPU ${id}`).to.equal(true);
    }
    const vcpu = machine.guest(127);
    expect(vcpu.info.address).to.equal(kernelBlock(vcpu) + VCPU_INFO);
    expect(vcpu.info.address % 64).to.equal(0);
    expect(machine.guest(31).info.address).to.be.lessThan(0x2000);
  });

  it('refuses to start one twice', () => {
    const machine = new GuestMachine({ vcpus: 2, onlineVcpus: 'boot' });
    bringUp(machine.guest(0), 1);
    expect(() => bringUp(machine.guest(0), 1)).to.throw('EEXIST');
  });
});

describe('a vCPU without a slot in shared_info', () => {
  const cases: [AbiName, number][] = [
    ['x86_64', 32],
    ['x86_32', 40],
    ['arm64', 1],
  ];
  for (const [abi, id] of cases) {
    it(`gets its vcpu_info with its event channels, ${abi} vCPU ${id}`, () => {
      const machine = new GuestMachine({ abi, vcpus: id + 1 });
      expect(machine.guest(id).info.address).to.equal(0);
      expect(isReachable(machine, id)).to.equal(true);
      expect(machine.guest(id).domain.frames * 4096 - machine.guest(id).info.address).to.equal(
        (id + 1) * KERNEL_BLOCK.size - VCPU_INFO,
      );
    });
  }
});
