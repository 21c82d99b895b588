import { expect } from 'chai';
import { BIND_PIRQ, Errno, XENIRQSTAT } from '../../lib/abi';
import type { MachineOptions } from '../../lib/hypervisor/image';
import { quiet, TestMachine } from './support/machine';

const { EBUSY, EEXIST, EINVAL, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM } = Errno;
const SHARE = BIND_PIRQ.BIND_PIRQ__WILL_SHARE;

function machineOf(options: Partial<MachineOptions> = {}): TestMachine {
  const configs = [1, 2, 3].map((id) => quiet({ id, pirqs: [4, 5, 9] }));
  return new TestMachine(configs, { irqs: 16, unmappedIrqs: [9], ...options });
}

/** Raises the IRQ and returns the domains whose port became pending. */
function raise(machine: TestMachine, irq: number): number[] {
  machine.hypervisor.raisePirq(irq);
  const raised = machine.observer.take().filter((event) => event.startsWith('raised'));
  for (const id of [1, 2, 3]) machine.acknowledge(machine.vcpu(id, 0));
  return raised.map((event) => Number(/d(\d+)/.exec(event)?.[1]));
}

describe('evtchn_bind_pirq', () => {
  it('checks in the order of Xen', () => {
    const machine = new TestMachine([quiet({ id: 1, pirqs: [4, 5, 9], maxPort: 2 })], { irqs: 16, unmappedIrqs: [9] });
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    expect(evtchn.bindPirq(current, 16, 0)).to.equal(-EINVAL);
    expect(evtchn.bindPirq(current, -1, 0)).to.equal(-EINVAL);
    expect(evtchn.bindPirq(current, 6, 0)).to.equal(-EPERM);
    expect(evtchn.bindPirq(current, 9, 0)).to.equal(-EINVAL, 'nothing behind it');
    expect(evtchn.bindPirq(current, 4, 0)).to.equal(1, 'no port was lost');
    expect(evtchn.bindPirq(current, 4, 0)).to.equal(-EEXIST);
    expect(evtchn.bindIpi(current, 0)).to.equal(2);
    expect(evtchn.bindPirq(current, 9, 0)).to.equal(-ENOSPC, 'before the interrupt is looked at');
  });

  it('shares an interrupt only if all agree', () => {
    const machine = machineOf();
    const { evtchn } = machine.hypervisor;
    expect(evtchn.bindPirq(machine.vcpu(1, 0), 4, SHARE)).to.equal(1);
    expect(evtchn.bindPirq(machine.vcpu(2, 0), 4, 0)).to.equal(-EBUSY);
    expect(evtchn.bindPirq(machine.vcpu(2, 0), 4, SHARE)).to.equal(1);
    expect(machine.hypervisor.physdev.irqStatusQuery(machine.vcpu(1, 0), 4)).to.equal(
      XENIRQSTAT.XENIRQSTAT_needs_eoi | XENIRQSTAT.XENIRQSTAT_shared,
    );
    expect(evtchn.bindPirq(machine.vcpu(1, 0), 5, 0)).to.equal(2);
    expect(evtchn.bindPirq(machine.vcpu(2, 0), 5, SHARE)).to.equal(-EBUSY);
    evtchn.close(machine.vcpu(1, 0), 2);
    expect(evtchn.bindPirq(machine.vcpu(2, 0), 5, SHARE)).to.equal(2);
  });

  it('does not exist on Arm', () => {
    const machine = new TestMachine([quiet({ id: 1, abi: 'arm64', pirqs: [4] })]);
    expect(machine.hypervisor.evtchn.bindPirq(machine.vcpu(1, 0), 4, 0)).to.equal(-EOPNOTSUPP);
    expect(machine.hypervisor.physdev.eoi(machine.vcpu(1, 0), 4)).to.equal(-ENOSYS);
  });
});

describe('a physical interrupt', () => {
  it('is silent until every guest has sent its EOI, and then fires for what came meanwhile', () => {
    const machine = machineOf();
    const { evtchn, physdev } = machine.hypervisor;
    for (const id of [1, 2]) evtchn.bindPirq(machine.vcpu(id, 0), 4, SHARE);
    expect(raise(machine, 4)).to.deep.equal([1, 2]);
    expect(machine.hypervisor.pirqInService(4)).to.equal(true);
    expect(raise(machine, 4)).to.deep.equal([]);
    physdev.eoi(machine.vcpu(1, 0), 4);
    physdev.eoi(machine.vcpu(1, 0), 4);
    expect(machine.observer.take()).to.deep.equal([], 'the second guest still owes its EOI');
    physdev.eoi(machine.vcpu(2, 0), 4);
    expect(machine.observer.take().filter((event) => event.startsWith('raised'))).to.have.length(2);
    for (const id of [1, 2]) physdev.eoi(machine.vcpu(id, 0), 4);
    expect(machine.hypervisor.pirqInService(4)).to.equal(false);
  });

  it('needs no EOI if it is edge-triggered', () => {
    const machine = machineOf({ edgeIrqs: [4] });
    machine.hypervisor.evtchn.bindPirq(machine.vcpu(1, 0), 4, 0);
    expect(raise(machine, 4)).to.deep.equal([1]);
    expect(machine.hypervisor.pirqInService(4)).to.equal(false);
    expect(raise(machine, 4)).to.deep.equal([1]);
    expect(machine.hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
  });

  it('takes a missing EOI for given after a millisecond', () => {
    const machine = machineOf();
    machine.platform.timeNs = 5000;
    machine.hypervisor.evtchn.bindPirq(machine.vcpu(1, 0), 4, 0);
    raise(machine, 4);
    expect(machine.hypervisor.nextDeadline()).to.equal(1_005_000);
    expect(machine.hypervisor.runExpiredTimers(1_004_999)).to.equal(1_005_000);
    expect(machine.hypervisor.pirqInService(4)).to.equal(true);
    expect(machine.hypervisor.runExpiredTimers(1_005_000)).to.equal(Number.POSITIVE_INFINITY);
    expect(machine.hypervisor.pirqInService(4)).to.equal(false);
    machine.hypervisor.physdev.eoi(machine.vcpu(1, 0), 4);
    expect(raise(machine, 4)).to.deep.equal([1]);
  });

  it('waits for ever for an EOI if the machine is told to', () => {
    const machine = machineOf({ irqEoiTimeoutNs: 0 });
    machine.hypervisor.evtchn.bindPirq(machine.vcpu(1, 0), 4, 0);
    raise(machine, 4);
    expect(machine.hypervisor.runExpiredTimers(2 ** 50)).to.equal(Number.POSITIVE_INFINITY);
    expect(machine.hypervisor.pirqInService(4)).to.equal(true);
  });

  it('is given up with the port, EOI and all', () => {
    const machine = machineOf();
    const { evtchn } = machine.hypervisor;
    const ports = [1, 2].map((id) => evtchn.bindPirq(machine.vcpu(id, 0), 4, SHARE));
    raise(machine, 4);
    evtchn.close(machine.vcpu(1, 0), ports[0] as number);
    expect(machine.hypervisor.pirqInService(4)).to.equal(true);
    evtchn.close(machine.vcpu(2, 0), ports[1] as number);
    expect(machine.hypervisor.pirqInService(4)).to.equal(false);
    expect(raise(machine, 4)).to.deep.equal([]);
    expect(machine.hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
  });

  it('does nothing under a number without an interrupt', () => {
    const machine = machineOf();
    for (const irq of [16, -1, 1.5, Number.NaN]) {
      machine.hypervisor.raisePirq(irq);
      expect(machine.hypervisor.pirqInService(irq)).to.equal(false);
      expect(machine.hypervisor.physdev.eoi(machine.vcpu(1, 0), irq)).to.equal(-EINVAL);
      expect(machine.hypervisor.physdev.irqStatusQuery(machine.vcpu(1, 0), irq)).to.equal(-EINVAL);
    }
    expect(machine.observer.take()).to.deep.equal([]);
  });

  it('has an EOI only where the domain has the interrupt', () => {
    const machine = machineOf();
    const { physdev } = machine.hypervisor;
    expect(physdev.eoi(machine.vcpu(1, 0), 4)).to.equal(0, 'not bound, but its own');
    expect(physdev.eoi(machine.vcpu(1, 0), 6)).to.equal(-EINVAL, 'not permitted');
    expect(physdev.eoi(machine.vcpu(1, 0), 9)).to.equal(-EINVAL, 'nothing behind it');
    expect(physdev.irqStatusQuery(machine.vcpu(1, 0), 6)).to.equal(XENIRQSTAT.XENIRQSTAT_needs_eoi);
  });
});

describe('PHYSDEVOP_pirq_eoi_gmfn', () => {
  const FRAME = 20;

  it('registers a page, once, whose bits tell which PIRQ needs an EOI from its binding on', () => {
    const machine = machineOf({ edgeIrqs: [5] });
    const { evtchn, physdev } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    evtchn.bindPirq(current, 4, 0);
    expect(physdev.pirqEoiGmfn(current, 64, 2)).to.equal(-EINVAL);
    expect(physdev.pirqEoiGmfn(current, FRAME, 2)).to.equal(0);
    expect(physdev.pirqEoiGmfn(current, FRAME, 2)).to.equal(-EBUSY);
    const { guest } = current.domain;
    guest.write32(FRAME * 4096, 1 << 5);
    evtchn.bindPirq(current, 5, 0);
    expect(guest.read32(FRAME * 4096)).to.equal(0, 'PIRQ 5 needs none');
    evtchn.close(current, 1);
    evtchn.bindPirq(current, 4, 0);
    expect(guest.read32(FRAME * 4096)).to.equal(1 << 4);
  });

  it('makes EOI unmask the port in version 1 only', () => {
    for (const version of [1, 2] as const) {
      const machine = machineOf();
      const current = machine.vcpu(1, 0);
      const port = machine.hypervisor.evtchn.bindPirq(current, 4, 0);
      machine.hypervisor.physdev.pirqEoiGmfn(current, FRAME, version);
      machine.setMask(current.domain, port, true);
      machine.hypervisor.raisePirq(4);
      machine.hypervisor.physdev.eoi(current, 4);
      expect(machine.upcallPending(current), `version ${version}`).to.equal(version === 1 ? 1 : 0);
    }
  });
});
