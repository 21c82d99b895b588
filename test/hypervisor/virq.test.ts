import { expect } from 'chai';
import { DOMID_SELF, Errno, VIRQ_ARGO, VIRQ_CONSOLE, VIRQ_DEBUG, VIRQ_DOM_EXC, VIRQ_TIMER } from '../../lib/abi';
import { quiet, TestMachine } from './support/machine';

const { EBUSY, EEXIST, EINVAL, ENOENT, ENOSPC } = Errno;

function machineOf(): TestMachine {
  return new TestMachine([
    quiet({ id: 1, vcpus: 2, privileged: true, hardwareDomain: true }),
    quiet({ id: 2, vcpus: 2 }),
  ]);
}

describe('evtchn_bind_virq', () => {
  it('gives each vCPU its own port for a per-vCPU VIRQ', () => {
    const machine = machineOf();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    expect(evtchn.bindVirq(current, VIRQ_TIMER, 0)).to.equal(1);
    expect(evtchn.bindVirq(current, VIRQ_TIMER, 1)).to.equal(2);
    expect(evtchn.bindVirq(current, VIRQ_TIMER, 1)).to.equal(-EEXIST);
    expect(evtchn.bindVirq(current, VIRQ_TIMER, 2)).to.equal(-ENOENT);
  });

  it('checks in the order of Xen', () => {
    const machine = new TestMachine([quiet({ id: 1, hardwareDomain: true, maxPort: 1 }), quiet({ id: 2 })]);
    const { evtchn } = machine.hypervisor;
    const other = machine.vcpu(2, 0);
    expect(evtchn.bindVirq(other, 24, 0)).to.equal(-EINVAL);
    expect(evtchn.bindVirq(other, -1, 0)).to.equal(-EINVAL);
    expect(evtchn.bindVirq(other, VIRQ_CONSOLE, 7)).to.equal(-EINVAL, 'another vCPU than 0, before its existence');
    expect(evtchn.bindVirq(other, VIRQ_CONSOLE, 0)).to.equal(-EBUSY, 'not the handler');
    const own = machine.vcpu(1, 0);
    expect(evtchn.bindVirq(own, VIRQ_CONSOLE, 0)).to.equal(1);
    expect(evtchn.bindVirq(own, VIRQ_CONSOLE, 0)).to.equal(-EEXIST, 'before the lack of ports');
    expect(evtchn.bindVirq(own, VIRQ_DOM_EXC, 0)).to.equal(-ENOSPC);
  });

  it('lets every domain bind a domain VIRQ once, at vCPU 0', () => {
    const machine = machineOf();
    const { evtchn } = machine.hypervisor;
    expect(evtchn.bindVirq(machine.vcpu(1, 0), VIRQ_ARGO, 0)).to.equal(1);
    expect(evtchn.bindVirq(machine.vcpu(2, 0), VIRQ_ARGO, 0)).to.equal(1);
    expect(evtchn.bindVirq(machine.vcpu(2, 0), VIRQ_ARGO, 1)).to.equal(-EINVAL);
    machine.hypervisor.sendDomainVirq(machine.domain(2), VIRQ_ARGO);
    expect(machine.observer.take()).to.deep.equal(['raised d2v0 port 1', 'kicked d2v0']);
  });

  it('lets a closed VIRQ be bound again', () => {
    const machine = machineOf();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 1);
    const port = evtchn.bindVirq(current, VIRQ_DEBUG, 1);
    evtchn.close(current, port);
    machine.hypervisor.sendVcpuVirq(current, VIRQ_DEBUG);
    expect(machine.observer.take()).to.deep.equal([]);
    expect(evtchn.bindVirq(current, VIRQ_DEBUG, 1)).to.equal(port);
  });
});

describe('send_guest_vcpu_virq', () => {
  it('raises the VIRQ at its vCPU alone, and drops it where it is not bound', () => {
    const machine = machineOf();
    machine.hypervisor.evtchn.bindVirq(machine.vcpu(2, 0), VIRQ_TIMER, 1);
    machine.hypervisor.sendVcpuVirq(machine.vcpu(2, 0), VIRQ_TIMER);
    expect(machine.observer.take()).to.deep.equal([]);
    machine.hypervisor.sendVcpuVirq(machine.vcpu(2, 1), VIRQ_TIMER);
    machine.hypervisor.sendVcpuVirq(machine.vcpu(2, 1), VIRQ_TIMER);
    expect(machine.observer.take()).to.deep.equal(['raised d2v1 port 1', 'kicked d2v1']);
  });

  it('drops the event while the channel is locked for writing', () => {
    const machine = machineOf();
    const current = machine.vcpu(2, 0);
    const port = machine.hypervisor.evtchn.bindVirq(current, VIRQ_TIMER, 0);
    const { state } = current.domain;
    state.writeLock(current.domain.channelAddress(port));
    machine.hypervisor.sendVcpuVirq(current, VIRQ_TIMER);
    state.writeUnlock(current.domain.channelAddress(port));
    expect(machine.observer.take()).to.deep.equal([]);
  });

  it('ignores numbers of another class', () => {
    const machine = machineOf();
    machine.hypervisor.evtchn.bindVirq(machine.vcpu(1, 0), VIRQ_CONSOLE, 0);
    machine.hypervisor.evtchn.bindVirq(machine.vcpu(1, 0), VIRQ_TIMER, 0);
    for (const virq of [VIRQ_CONSOLE, 24, -1, Number.NaN]) machine.hypervisor.sendVcpuVirq(machine.vcpu(1, 0), virq);
    for (const virq of [VIRQ_TIMER, VIRQ_ARGO, 24]) machine.hypervisor.sendGlobalVirq(virq);
    for (const virq of [VIRQ_TIMER, 24]) machine.hypervisor.sendDomainVirq(machine.domain(1), virq);
    expect(machine.observer.take()).to.deep.equal([]);
  });
});

describe('send_global_virq', () => {
  it('goes to the hardware domain until a handler is named, and follows bind_vcpu', () => {
    const machine = machineOf();
    const { hypervisor } = machine;
    const port = hypervisor.evtchn.bindVirq(machine.vcpu(1, 0), VIRQ_CONSOLE, 0);
    hypervisor.evtchn.bindVcpu(machine.vcpu(1, 0), port, 1);
    hypervisor.sendGlobalVirq(VIRQ_CONSOLE);
    expect(machine.observer.take()).to.deep.equal([`raised d1v1 port ${port}`, 'kicked d1v1']);
    expect(hypervisor.setVirqHandler(machine.domain(2), VIRQ_CONSOLE)).to.equal(-EBUSY);
    hypervisor.evtchn.close(machine.vcpu(1, 0), port);
    expect(hypervisor.setVirqHandler(machine.domain(2), VIRQ_CONSOLE)).to.equal(0);
    expect(hypervisor.evtchn.bindVirq(machine.vcpu(1, 0), VIRQ_CONSOLE, 0)).to.equal(-EBUSY);
    expect(hypervisor.evtchn.bindVirq(machine.vcpu(2, 0), VIRQ_CONSOLE, 0)).to.equal(1);
    hypervisor.sendGlobalVirq(VIRQ_CONSOLE);
    expect(machine.observer.take()).to.include('raised d2v0 port 1');
  });

  it('counts the numbers without a name as global', () => {
    const machine = machineOf();
    for (const virq of [5, 14, 15, 16, 23]) {
      expect(machine.hypervisor.evtchn.bindVirq(machine.vcpu(1, 0), virq, 0)).to.be.greaterThan(0);
      expect(machine.hypervisor.virqEnabled(machine.domain(1), 1, virq)).to.equal(true);
    }
    expect(machine.hypervisor.virqEnabled(machine.domain(1), 2, 5)).to.equal(false, 'no such vCPU');
    expect(machine.hypervisor.virqEnabled(machine.domain(1), 0, 24)).to.equal(false);
  });

  it('has no handler where there is no hardware domain', () => {
    const machine = new TestMachine([quiet({ id: 1 })]);
    machine.hypervisor.sendGlobalVirq(VIRQ_CONSOLE);
    expect(machine.hypervisor.evtchn.bindVirq(machine.vcpu(1, 0), VIRQ_CONSOLE, 0)).to.equal(-EBUSY);
    expect(machine.hypervisor.setVirqHandler(machine.domain(1), VIRQ_CONSOLE)).to.equal(0);
    expect(machine.hypervisor.evtchn.bindVirq(machine.vcpu(1, 0), VIRQ_CONSOLE, 0)).to.equal(1);
  });
});

describe('set_global_virq_handler', () => {
  it('refuses VIRQs that are not global, and domains that die', () => {
    const machine = machineOf();
    const { hypervisor } = machine;
    for (const virq of [VIRQ_TIMER, VIRQ_ARGO, 24, -1]) {
      expect(hypervisor.setVirqHandler(machine.domain(2), virq)).to.equal(-EINVAL);
    }
    expect(hypervisor.setVirqHandler(machine.domain(2), VIRQ_CONSOLE)).to.equal(0);
    hypervisor.killDomain(machine.domain(2));
    expect(hypervisor.setVirqHandler(machine.domain(2), VIRQ_CONSOLE)).to.equal(-EINVAL);
    expect(hypervisor.evtchn.bindVirq(machine.vcpu(1, 0), VIRQ_CONSOLE, 0)).to.be.greaterThan(0, 'it went back');
  });
});

describe('VIRQ_DOM_EXC', () => {
  it('tells its handler when a domain has shut down, died and vanished, each once', () => {
    const machine = machineOf();
    const { hypervisor } = machine;
    const handler = machine.vcpu(1, 0);
    const port = hypervisor.evtchn.bindVirq(handler, VIRQ_DOM_EXC, 0);
    const told = () => {
      const events = machine.observer.take();
      machine.acknowledge(handler);
      return events.includes(`raised d1v0 port ${port}`);
    };
    hypervisor.sched.shutdownDomain(machine.domain(2), 0);
    expect(told()).to.equal(false, 'its vCPUs still run');
    hypervisor.sched.finaliseShutdown(machine.domain(2));
    expect(told()).to.equal(true);
    hypervisor.sched.finaliseShutdown(machine.domain(2));
    expect(told()).to.equal(false);
    hypervisor.killDomain(machine.domain(2));
    expect(told()).to.equal(true);
    hypervisor.removeDomain(machine.domain(2));
    expect(told()).to.equal(true);
    expect(hypervisor.evtchn.reset(handler, DOMID_SELF)).to.equal(0);
  });
});
