import { expect } from 'chai';
import { DOMID_SELF, Errno, EVTCHNSTAT } from '../../lib/abi';
import { RESET_INTERRUPTED } from '../../lib/hypervisor/channel-closing';
import { PortStatus } from '../../lib/hypervisor/event-channel';
import { quiet, TestMachine } from './support/machine';

const { EBUSY, EINVAL, ENOENT, ENOSPC, EPERM, ESRCH } = Errno;

/** Domain 1: control domain with 2 vCPUs. Domain 2: 4 vCPUs. Domain 3: 32-bit. */
function threeDomains(): TestMachine {
  return new TestMachine([
    quiet({ id: 1, vcpus: 2, privileged: true, hardwareDomain: true }),
    quiet({ id: 2, vcpus: 4 }),
    quiet({ id: 3, vcpus: 2, abi: 'x86_32' }),
  ]);
}

/** A channel between domain 2 and domain 3: [port of 2, port of 3]; nothing is pending. */
function connect(machine: TestMachine): readonly [number, number] {
  const { evtchn } = machine.hypervisor;
  const far = evtchn.allocUnbound(machine.vcpu(3, 0), DOMID_SELF, 2);
  const near = evtchn.bindInterdomain(machine.vcpu(2, 0), 3, far);
  machine.acknowledge(machine.vcpu(2, 0));
  machine.observer.take();
  return [near, far];
}

function statusOf(machine: TestMachine, domainId: number, port: number): Partial<PortStatus> {
  const status = new PortStatus();
  const result = machine.hypervisor.evtchn.status(machine.vcpu(1, 0), domainId, port, status);
  if (result !== 0) throw new Error(`status returned ${result}`);
  return Object.fromEntries(Object.entries(status).filter(([, value]) => value >= 0));
}

describe('evtchn_alloc_unbound', () => {
  it('gives the lowest free port, from 1', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    expect([1, 2, 3].map(() => evtchn.allocUnbound(current, DOMID_SELF, 3))).to.deep.equal([1, 2, 3]);
    evtchn.close(current, 2);
    expect(evtchn.allocUnbound(current, DOMID_SELF, 3)).to.equal(2);
  });

  it('takes DOMID_SELF as remote domain for the caller, not for the domain named', () => {
    const machine = threeDomains();
    const port = machine.hypervisor.evtchn.allocUnbound(machine.vcpu(1, 0), 2, DOMID_SELF);
    expect(statusOf(machine, 2, port)).to.deep.equal({ status: EVTCHNSTAT.EVTCHNSTAT_unbound, vcpu: 0, dom: 1 });
  });

  it('runs out of ports before it looks at permissions, and gives the port back after', () => {
    const machine = new TestMachine([quiet({ id: 1 }), quiet({ id: 2, maxPort: 2 })]);
    const { evtchn } = machine.hypervisor;
    expect(evtchn.allocUnbound(machine.vcpu(1, 0), 2, 1)).to.equal(-EPERM);
    const own = machine.vcpu(2, 0);
    expect([1, 2].map(() => evtchn.allocUnbound(own, DOMID_SELF, 1))).to.deep.equal([1, 2]);
    expect(evtchn.allocUnbound(machine.vcpu(1, 0), 2, 1)).to.equal(-ENOSPC);
    expect(evtchn.allocUnbound(own, 7, 1)).to.equal(-ESRCH);
  });

  it('stops at the limit of the ABI whatever the toolstack allows', () => {
    const machine = new TestMachine([quiet({ id: 1, abi: 'x86_32', maxPort: 0x7fffffff })]);
    const current = machine.vcpu(1, 0);
    for (let port = 1; port < 1024; port++) machine.hypervisor.evtchn.bindIpi(current, 0);
    expect(machine.hypervisor.evtchn.bindIpi(current, 0)).to.equal(-ENOSPC);
  });
});

describe('evtchn_bind_interdomain', () => {
  it('makes the local port pending and tells the far end nothing', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const far = evtchn.allocUnbound(machine.vcpu(3, 0), DOMID_SELF, 2);
    const near = evtchn.bindInterdomain(machine.vcpu(2, 1), 3, far);
    expect(machine.observer.take()).to.deep.equal([`raised d2v0 port ${near}`, 'kicked d2v0']);
    expect(machine.isPending(machine.domain(2), near)).to.equal(true);
    expect(machine.isPending(machine.domain(3), far)).to.equal(false);
    expect(statusOf(machine, 3, far)).to.deep.equal({
      status: EVTCHNSTAT.EVTCHNSTAT_interdomain,
      vcpu: 0,
      dom: 2,
      port: near,
    });
  });

  it('refuses a port that waits for another domain, or for none', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const far = evtchn.allocUnbound(machine.vcpu(3, 0), DOMID_SELF, 1);
    const ipi = evtchn.bindIpi(machine.vcpu(3, 0), 0);
    const current = machine.vcpu(2, 0);
    for (const port of [far, ipi, 0, 63, 64, 0xffffffff]) {
      expect(evtchn.bindInterdomain(current, 3, port)).to.equal(-EINVAL);
    }
    expect(evtchn.bindInterdomain(current, 9, 1)).to.equal(-ESRCH);
    expect(evtchn.bindIpi(current, 0)).to.equal(1, 'no port was lost');
  });

  it('connects two ports of one domain', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    const a = evtchn.allocUnbound(current, DOMID_SELF, DOMID_SELF);
    const b = evtchn.bindInterdomain(current, DOMID_SELF, a);
    machine.acknowledge(current);
    evtchn.send(current, b);
    expect(machine.isPending(machine.domain(2), a)).to.equal(true);
    expect(evtchn.close(current, a)).to.equal(0);
    expect(statusOf(machine, 2, b)).to.deep.equal({ status: EVTCHNSTAT.EVTCHNSTAT_unbound, vcpu: 0, dom: 2 });
  });
});

describe('evtchn_bind_ipi', () => {
  it('notifies the vCPU it names', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const port = evtchn.bindIpi(machine.vcpu(2, 0), 3);
    evtchn.send(machine.vcpu(2, 1), port);
    expect(machine.observer.take()).to.deep.equal([`raised d2v3 port ${port}`, 'kicked d2v3']);
    expect(evtchn.bindIpi(machine.vcpu(2, 0), 4)).to.equal(-ENOENT);
  });
});

describe('evtchn_send', () => {
  it('sets pending, selector and upcall flag of the far end, each once', () => {
    const machine = threeDomains();
    const [near, far] = connect(machine);
    const { evtchn } = machine.hypervisor;
    const target = machine.vcpu(3, 0);
    expect(evtchn.send(machine.vcpu(2, 0), near)).to.equal(0);
    expect(machine.observer.take()).to.deep.equal([`raised d3v0 port ${far}`, 'kicked d3v0']);
    expect(machine.selector(target)).to.deep.equal([far >> 5]);
    expect(machine.upcallPending(target)).to.equal(1);
    evtchn.send(machine.vcpu(2, 0), near);
    expect(machine.observer.take()).to.deep.equal([]);
  });

  it('drops what goes to an unbound port and refuses what cannot be sent on', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    const unbound = evtchn.allocUnbound(current, DOMID_SELF, 1);
    const virq = evtchn.bindVirq(current, 0, 0);
    expect(evtchn.send(current, unbound)).to.equal(0);
    for (const port of [0, virq, 40, 64, 1023, 1024, 5000, -1, 1.5, Number.NaN, 2 ** 40]) {
      expect(evtchn.send(current, port), String(port)).to.equal(-EINVAL);
    }
    expect(machine.observer.take()).to.deep.equal([]);
  });
});

describe('evtchn_close', () => {
  it('leaves the far end unbound, pending as it was, and still at its vCPU', () => {
    const machine = threeDomains();
    const [near, far] = connect(machine);
    const { evtchn } = machine.hypervisor;
    evtchn.bindVcpu(machine.vcpu(3, 0), far, 1);
    evtchn.send(machine.vcpu(2, 0), near);
    machine.observer.take();
    expect(evtchn.close(machine.vcpu(2, 0), near)).to.equal(0);
    expect(machine.observer.take()).to.deep.equal([]);
    expect(machine.isPending(machine.domain(3), far)).to.equal(true);
    expect(statusOf(machine, 3, far)).to.deep.equal({ status: EVTCHNSTAT.EVTCHNSTAT_unbound, vcpu: 1, dom: 2 });
    expect(statusOf(machine, 2, near)).to.deep.equal({ status: EVTCHNSTAT.EVTCHNSTAT_closed, vcpu: 0 });
  });

  it('works from either end, whichever domain comes first in the machine', () => {
    const machine = threeDomains();
    const [near, far] = connect(machine);
    expect(machine.hypervisor.evtchn.close(machine.vcpu(3, 0), far)).to.equal(0);
    expect(statusOf(machine, 2, near)).to.deep.equal({ status: EVTCHNSTAT.EVTCHNSTAT_unbound, vcpu: 0, dom: 3 });
  });

  it('clears the pending bit but neither mask, selector nor upcall flag', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    const port = evtchn.bindIpi(current, 0);
    evtchn.send(current, port);
    machine.setMask(machine.domain(2), port, true);
    evtchn.close(current, port);
    expect(machine.isPending(machine.domain(2), port)).to.equal(false);
    expect(machine.selector(current)).to.deep.equal([0]);
    expect(machine.upcallPending(current)).to.equal(1);
    expect(evtchn.bindIpi(current, 0)).to.equal(port);
    evtchn.send(current, port);
    expect(machine.isPending(machine.domain(2), port), 'still masked').to.equal(true);
  });

  it('refuses ports that are free, reserved or out of range', () => {
    const machine = threeDomains();
    for (const port of [0, 1, 64, -1]) {
      expect(machine.hypervisor.evtchn.close(machine.vcpu(2, 0), port)).to.equal(-EINVAL);
    }
  });
});

describe('evtchn_status', () => {
  it('finds a bad port before a missing permission', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const status = new PortStatus();
    expect(evtchn.status(machine.vcpu(2, 0), 1, 64, status)).to.equal(-EINVAL);
    expect(evtchn.status(machine.vcpu(2, 0), 1, 1, status)).to.equal(-EPERM);
    expect(evtchn.status(machine.vcpu(2, 0), 2, 1, status)).to.equal(0, 'its own number');
    expect(evtchn.status(machine.vcpu(2, 0), 77, 1, status)).to.equal(-ESRCH);
  });

  it('knows ports in steps of 64', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    for (let i = 1; i < 64; i++) evtchn.bindIpi(current, 0);
    expect(evtchn.unmask(current, 64)).to.equal(-EINVAL);
    expect(evtchn.bindIpi(current, 0)).to.equal(64);
    expect(evtchn.unmask(current, 127)).to.equal(0);
    expect(evtchn.unmask(current, 128)).to.equal(-EINVAL);
  });
});

describe('evtchn_bind_vcpu', () => {
  it('moves where later events go, and leaves what is pending', () => {
    const machine = threeDomains();
    const [near, far] = connect(machine);
    const { evtchn } = machine.hypervisor;
    evtchn.send(machine.vcpu(2, 0), near);
    expect(evtchn.bindVcpu(machine.vcpu(3, 0), far, 1)).to.equal(0);
    expect(machine.selector(machine.vcpu(3, 0))).to.deep.equal([0]);
    expect(machine.selector(machine.vcpu(3, 1))).to.deep.equal([]);
    machine.acknowledge(machine.vcpu(3, 0));
    machine.observer.take();
    evtchn.send(machine.vcpu(2, 0), near);
    expect(machine.observer.take()).to.deep.equal([`raised d3v1 port ${far}`, 'kicked d3v1']);
  });

  it('refuses an unknown vCPU before it looks at the port, and ports bound to a vCPU', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    const ipi = evtchn.bindIpi(current, 0);
    const timer = evtchn.bindVirq(current, 0, 0);
    expect(evtchn.bindVcpu(current, 9999, 4)).to.equal(-ENOENT);
    for (const port of [ipi, timer, 0, 50, 9999]) expect(evtchn.bindVcpu(current, port, 1)).to.equal(-EINVAL);
  });
});

describe('evtchn_reset', () => {
  it('closes every port of the guest and keeps those of the hypervisor', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    const own = machine.hypervisor.xenAlloc(current, machine.domain(2), 1, 3);
    for (let i = 0; i < 70; i++) evtchn.bindIpi(current, 0);
    expect(evtchn.reset(current, DOMID_SELF)).to.equal(0);
    expect(statusOf(machine, 2, own)).to.include({ status: EVTCHNSTAT.EVTCHNSTAT_unbound });
    expect(evtchn.bindIpi(current, 0)).to.equal(own + 1);
  });

  it('wants another domain to be paused', () => {
    const machine = threeDomains();
    const { hypervisor } = machine;
    const control = machine.vcpu(1, 0);
    expect(hypervisor.evtchn.reset(control, 2)).to.equal(-EINVAL);
    hypervisor.pauseDomain(machine.domain(2));
    expect(hypervisor.evtchn.reset(control, 2)).to.equal(0);
    hypervisor.unpauseDomain(machine.domain(2));
    hypervisor.unpauseDomain(machine.domain(2));
    expect(hypervisor.evtchn.reset(control, 2)).to.equal(-EINVAL);
    expect(hypervisor.evtchn.reset(machine.vcpu(2, 0), 1)).to.equal(-EPERM);
    expect(hypervisor.evtchn.reset(control, 200)).to.equal(-ESRCH);
  });

  it('goes on where it was interrupted, and only one at a time', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    for (let i = 0; i < 70; i++) evtchn.bindIpi(current, 0);
    expect(evtchn.resetFrom(current, DOMID_SELF, false, true)).to.equal(RESET_INTERRUPTED);
    expect(evtchn.reset(current, DOMID_SELF)).to.equal(-EBUSY);
    expect(statusOf(machine, 2, 63).status).to.equal(EVTCHNSTAT.EVTCHNSTAT_closed);
    expect(statusOf(machine, 2, 65).status).to.equal(EVTCHNSTAT.EVTCHNSTAT_ipi);
    expect(evtchn.resetFrom(current, DOMID_SELF, true, false)).to.equal(0);
    expect(evtchn.resetFrom(current, DOMID_SELF, true, false)).to.equal(-EBUSY);
    expect(statusOf(machine, 2, 65).status).to.equal(EVTCHNSTAT.EVTCHNSTAT_closed);
  });
});

describe('a channel of the hypervisor itself', () => {
  it('is unusable for its domain and hands events to the hypervisor', () => {
    const machine = threeDomains();
    const { evtchn } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    const own = machine.hypervisor.xenAlloc(current, machine.domain(2), 1, 3);
    const far = evtchn.bindInterdomain(machine.vcpu(3, 0), 2, own);
    machine.acknowledge(machine.vcpu(3, 0));
    machine.observer.take();
    evtchn.send(machine.vcpu(3, 0), far);
    expect(machine.observer.take()).to.deep.equal([`xen d2v1 port ${own}`]);
    machine.hypervisor.xenNotify(machine.domain(2), own);
    expect(machine.observer.take()).to.deep.equal([`raised d3v0 port ${far}`, 'kicked d3v0']);
    for (const result of [evtchn.send(current, own), evtchn.close(current, own), evtchn.bindVcpu(current, own, 0)]) {
      expect(result).to.equal(-EINVAL);
    }
    expect(evtchn.unmask(current, own)).to.equal(0);
    machine.hypervisor.xenFree(machine.domain(2), own);
    expect(statusOf(machine, 2, own).status).to.equal(EVTCHNSTAT.EVTCHNSTAT_closed);
  });

  it('ignores what is no port of its own', () => {
    const machine = threeDomains();
    const { hypervisor } = machine;
    const port = hypervisor.evtchn.bindIpi(machine.vcpu(2, 0), 0);
    for (const other of [port, 0, 64, -1, Number.NaN]) {
      hypervisor.xenFree(machine.domain(2), other);
      hypervisor.xenNotify(machine.domain(2), other);
    }
    expect(hypervisor.xenAlloc(machine.vcpu(2, 0), machine.domain(2), 9, 3)).to.equal(-EINVAL);
    expect(statusOf(machine, 2, port).status).to.equal(EVTCHNSTAT.EVTCHNSTAT_ipi);
    expect(machine.observer.take()).to.deep.equal([]);
  });
});

describe('a domain that dies', () => {
  it('loses its ports, gets no new ones, and can be named until it is removed', () => {
    const machine = threeDomains();
    const [near, far] = connect(machine);
    const { hypervisor } = machine;
    hypervisor.killDomain(machine.domain(3));
    expect(statusOf(machine, 2, near)).to.deep.equal({ status: EVTCHNSTAT.EVTCHNSTAT_unbound, vcpu: 0, dom: 3 });
    expect(statusOf(machine, 3, far).status).to.equal(EVTCHNSTAT.EVTCHNSTAT_closed);
    expect(hypervisor.evtchn.allocUnbound(machine.vcpu(1, 0), 3, 1)).to.equal(-EINVAL);
    hypervisor.removeDomain(machine.domain(3));
    expect(hypervisor.evtchn.allocUnbound(machine.vcpu(1, 0), 3, 1)).to.equal(-ESRCH);
  });
});
