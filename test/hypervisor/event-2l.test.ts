import { expect } from 'chai';
import { ABI_NAMES, type AbiName, DOMID_SELF } from '../../lib/abi';
import { quiet, TestMachine } from './support/machine';

function machineOf(abi: AbiName): TestMachine {
  return new TestMachine([quiet({ id: 1, vcpus: 2, abi, maxPort: 4095 })]);
}

/** An IPI port of vCPU 0 in each of the first words, by word. */
function portsOf(machine: TestMachine, count: number): number[] {
  const current = machine.vcpu(1, 0);
  return Array.from({ length: count }, () => machine.hypervisor.evtchn.bindIpi(current, 0));
}

for (const abi of ABI_NAMES) {
  const bits = abi === 'x86_32' ? 32 : 64;

  describe(`evtchn_2l_set_pending, ${abi}`, () => {
    it(`has a selector bit for ${bits} ports`, () => {
      const machine = machineOf(abi);
      const current = machine.vcpu(1, 0);
      portsOf(machine, 700);
      for (const port of [1, bits - 1, bits, 2 * bits, 700]) {
        machine.acknowledge(current);
        machine.hypervisor.evtchn.send(current, port);
        expect(machine.selector(current), `port ${port}`).to.deep.equal([Math.floor(port / bits)]);
        expect(machine.isPending(machine.domain(1), port)).to.equal(true);
      }
    });

    it('reaches the last port of the ABI', () => {
      const machine = machineOf(abi);
      const current = machine.vcpu(1, 0);
      const last = machine.domain(1).maxEvtchns - 1;
      portsOf(machine, last);
      machine.hypervisor.evtchn.send(current, last);
      expect(machine.isPending(machine.domain(1), last)).to.equal(true);
      expect(machine.selector(current)).to.deep.equal([bits - 1]);
    });

    it('leaves selector and upcall flag alone for a masked port', () => {
      const machine = machineOf(abi);
      const current = machine.vcpu(1, 0);
      const [port] = portsOf(machine, 1) as [number];
      machine.setMask(machine.domain(1), port, true);
      machine.hypervisor.evtchn.send(current, port);
      expect(machine.isPending(machine.domain(1), port)).to.equal(true);
      expect(machine.selector(current)).to.deep.equal([]);
      expect(machine.upcallPending(current)).to.equal(0);
    });

    it('marks once for all ports behind a selector bit, and kicks once for all bits', () => {
      const machine = machineOf(abi);
      const current = machine.vcpu(1, 0);
      portsOf(machine, bits + 2);
      for (const port of [1, 2, bits]) machine.hypervisor.evtchn.send(current, port);
      expect(machine.observer.take().filter((event) => event.startsWith('kicked'))).to.deep.equal(['kicked d1v0']);
      expect(machine.selector(current)).to.deep.equal([0, 1]);
    });

    it('does not look at the upcall mask', () => {
      const machine = machineOf(abi);
      const current = machine.vcpu(1, 0);
      const [port] = portsOf(machine, 1) as [number];
      machine.hypervisor.vcpuState.setUpcallMask(current, 1);
      machine.hypervisor.evtchn.send(current, port);
      expect(machine.observer.take()).to.include('kicked d1v0');
    });
  });

  describe(`evtchn_2l_unmask, ${abi}`, () => {
    it('announces an event that came while the port was masked', () => {
      const machine = machineOf(abi);
      const { evtchn } = machine.hypervisor;
      const port = evtchn.bindIpi(machine.vcpu(1, 0), 0);
      machine.setMask(machine.domain(1), port, true);
      evtchn.send(machine.vcpu(1, 0), port);
      machine.observer.take();
      evtchn.unmask(machine.vcpu(1, 1), port);
      expect(machine.observer.take()).to.deep.equal(['kicked d1v0']);
      expect(machine.selector(machine.vcpu(1, 0))).to.deep.equal([0]);
    });

    it('does nothing for a port that is not masked, pending or not', () => {
      const machine = machineOf(abi);
      const { evtchn } = machine.hypervisor;
      const current = machine.vcpu(1, 0);
      const [port] = portsOf(machine, 1) as [number];
      machine.setMask(machine.domain(1), port, true);
      evtchn.send(current, port);
      machine.setMask(machine.domain(1), port, false);
      machine.observer.take();
      evtchn.unmask(current, port);
      expect(machine.observer.take()).to.deep.equal([]);
      expect(machine.upcallPending(current)).to.equal(0);
    });
  });
}

describe('a vCPU without vcpu_info', () => {
  it('shares a dummy with the others, so that only the first event kicks', () => {
    const machine = new TestMachine([quiet({ id: 1, vcpus: 34 })]);
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    const ports = [evtchn.bindIpi(current, 32), evtchn.bindIpi(current, 33)];
    for (const port of ports) evtchn.send(current, port);
    expect(machine.observer.take().filter((event) => event.startsWith('kicked'))).to.deep.equal(['kicked d1v32']);
    expect(machine.hypervisor.vcpuInfoAddress(machine.vcpu(1, 33))).to.equal(0);
    expect(machine.domain(1).guest.read32(0)).to.equal(0, 'nothing of it is in guest memory');
  });
});

describe('an event between domains of different ABIs', () => {
  it('follows the layout of the domain it goes to', () => {
    const machine = new TestMachine([quiet({ id: 1, abi: 'x86_64' }), quiet({ id: 2, abi: 'x86_32' })]);
    const { evtchn } = machine.hypervisor;
    for (let i = 0; i < 39; i++) evtchn.bindIpi(machine.vcpu(2, 0), 0);
    const far = evtchn.allocUnbound(machine.vcpu(2, 0), DOMID_SELF, 1);
    const near = evtchn.bindInterdomain(machine.vcpu(1, 0), 2, far);
    evtchn.send(machine.vcpu(1, 0), near);
    expect(machine.selector(machine.vcpu(2, 0))).to.deep.equal([1]);
    evtchn.send(machine.vcpu(2, 0), far);
    expect(machine.selector(machine.vcpu(1, 0))).to.deep.equal([0]);
  });
});
