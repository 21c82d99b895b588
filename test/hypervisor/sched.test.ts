import { expect } from 'chai';
import { type AbiName, DOMID_SELF, Errno, SHUTDOWN_crash, SHUTDOWN_poweroff, SHUTDOWN_watchdog } from '../../lib/abi';
import { DOMAIN_POLL_MASK } from '../../lib/hypervisor/state-layout';
import { quiet, TestMachine } from './support/machine';

const { EFAULT, EINVAL, ENOSPC, EPERM, ESRCH } = Errno;

function machineOf(abi: AbiName = 'x86_64'): TestMachine {
  return new TestMachine([quiet({ id: 1, vcpus: 3, abi, privileged: true }), quiet({ id: 2, vcpus: 2 })]);
}

/** An IPI port of each vCPU of domain 1, all acknowledged. */
function portOf(machine: TestMachine, vcpuId: number): number {
  return machine.hypervisor.evtchn.bindIpi(machine.vcpu(1, 0), vcpuId);
}

describe('SCHEDOP_block', () => {
  it('unmasks upcalls and sleeps', () => {
    const machine = machineOf();
    const current = machine.vcpu(1, 0);
    let blocked = false;
    machine.platform.asleep = () => {
      blocked = machine.isBlocked(current);
    };
    expect(machine.upcallMask(current)).to.equal(1);
    expect(machine.hypervisor.sched.block(current)).to.equal(0);
    expect(machine.upcallMask(current)).to.equal(0);
    expect(blocked).to.equal(true);
    expect(machine.platform.sleeps).to.deep.equal(['d1v0']);
  });

  it('returns at once if an upcall is pending, masked or not', () => {
    const machine = machineOf();
    const current = machine.vcpu(1, 0);
    machine.hypervisor.evtchn.send(machine.vcpu(1, 1), portOf(machine, 0));
    machine.hypervisor.sched.block(current);
    expect(machine.platform.sleeps).to.deep.equal([]);
    expect(machine.isBlocked(current)).to.equal(false);
  });

  it('is ended by an event, and by no other', () => {
    const machine = machineOf();
    const current = machine.vcpu(1, 0);
    const [own, others] = [portOf(machine, 0), portOf(machine, 1)];
    machine.platform.asleep = () => {
      machine.hypervisor.evtchn.send(machine.vcpu(1, 2), others);
      expect(machine.isBlocked(current)).to.equal(true);
      machine.hypervisor.evtchn.send(machine.vcpu(1, 2), own);
      expect(machine.isBlocked(current)).to.equal(false);
    };
    machine.hypervisor.sched.block(current);
    expect(machine.observer.take().filter((event) => event.startsWith('woken'))).to.deep.equal(['woken d1v0']);
  });

  it('unmasks the processor on Arm, where vcpu_info has no mask', () => {
    const machine = machineOf('arm64');
    const current = machine.vcpu(1, 0);
    const { vcpuState } = machine.hypervisor;
    expect(vcpuState.upcallMask(current)).to.equal(1);
    machine.hypervisor.sched.block(current);
    expect(vcpuState.upcallMask(current)).to.equal(0);
    expect(machine.upcallMask(current), 'padding').to.equal(0);
    machine.hypervisor.evtchn.send(current, portOf(machine, 0));
    expect(vcpuState.upcallDeliverable(current)).to.equal(true);
    vcpuState.setUpcallMask(current, 1);
    expect(vcpuState.upcallDeliverable(current)).to.equal(false);
  });
});

describe('SCHEDOP_poll', () => {
  const pollMask = (machine: TestMachine) => machine.domain(1).state.read32(DOMAIN_POLL_MASK);

  for (const abi of ['x86_64', 'arm64'] as const) {
    it(`sleeps until a listed port is pending, masked or not, ${abi}`, () => {
      const machine = machineOf(abi);
      const { evtchn, sched } = machine.hypervisor;
      const current = machine.vcpu(1, 0);
      const [listed, other] = [portOf(machine, 1), portOf(machine, 1)];
      machine.setMask(machine.domain(1), listed, true);
      machine.platform.asleep = () => {
        expect(pollMask(machine)).to.equal(1);
        evtchn.send(machine.vcpu(1, 2), other);
        expect(machine.isBlocked(current), 'another port').to.equal(true);
        evtchn.send(machine.vcpu(1, 2), listed);
        expect(machine.isBlocked(current)).to.equal(false);
      };
      expect(sched.poll(current, [listed], 0)).to.equal(0);
      expect(machine.platform.sleeps).to.have.length(1);
      expect(pollMask(machine)).to.equal(0);
      expect(machine.hypervisor.vcpuState.upcallMask(current), 'as it was').to.equal(1);
    });
  }

  it('wakes for any event of the domain if it waits for several ports, or for none', () => {
    for (const listed of [[], [1, 2]]) {
      const machine = machineOf();
      const { evtchn, sched } = machine.hypervisor;
      for (let i = 0; i < 3; i++) portOf(machine, 1);
      machine.platform.asleep = (vcpu) => {
        evtchn.send(machine.vcpu(1, 2), 3);
        expect(machine.isBlocked(machine.vcpu(1, vcpu.vcpuId))).to.equal(false);
      };
      expect(sched.poll(machine.vcpu(1, 0), listed, 0)).to.equal(0);
      expect(machine.platform.sleeps).to.have.length(1);
    }
  });

  it('wakes every vCPU that polls for the port, in order', () => {
    const machine = machineOf();
    const { evtchn, sched } = machine.hypervisor;
    const port = portOf(machine, 2);
    machine.platform.asleep = ({ vcpuId }) => {
      if (vcpuId === 1) sched.poll(machine.vcpu(1, 0), [port], 0);
      else evtchn.send(machine.vcpu(1, 2), port);
    };
    machine.observer.take();
    sched.poll(machine.vcpu(1, 1), [port], 0);
    expect(machine.observer.take().filter((event) => event.startsWith('woken'))).to.deep.equal([
      'woken d1v0',
      'woken d1v1',
    ]);
  });

  it('ends its scan at the first port that is pending or bad', () => {
    const machine = machineOf();
    const { evtchn, sched } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    const [idle, pending] = [portOf(machine, 1), portOf(machine, 1)];
    evtchn.send(current, pending);
    expect(sched.poll(current, [pending, 999], 0)).to.equal(0);
    expect(sched.poll(current, [idle, 999, pending], 0)).to.equal(-EINVAL);
    for (const bad of [0, 3, 999, -1, 0.5, Number.NaN]) expect(sched.poll(current, [bad], 0)).to.equal(-EINVAL);
    expect(sched.poll(current, new Array(129).fill(pending), 0)).to.equal(-EINVAL);
    expect(sched.poll(current, new Array(128).fill(pending), 0)).to.equal(0);
    expect(machine.platform.sleeps).to.deep.equal([]);
    expect(pollMask(machine)).to.equal(0);
    expect(machine.isBlocked(current)).to.equal(false);
  });

  it('returns before it looks at any port if an upcall is deliverable', () => {
    const machine = machineOf();
    const { evtchn, sched } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    evtchn.send(current, portOf(machine, 0));
    expect(sched.poll(current, [999], 0)).to.equal(-EINVAL, 'masked');
    machine.setUpcallMask(current, 0);
    expect(sched.poll(current, [999], 0)).to.equal(0);
  });

  it('is ended by an upcall of its own, even a masked one', () => {
    const machine = machineOf();
    const { evtchn, sched } = machine.hypervisor;
    const [polled, own] = [portOf(machine, 1), portOf(machine, 0)];
    machine.platform.asleep = () => {
      evtchn.send(machine.vcpu(1, 2), own);
      expect(machine.isBlocked(machine.vcpu(1, 0))).to.equal(false);
    };
    sched.poll(machine.vcpu(1, 0), [polled], 0);
    expect(pollMask(machine)).to.equal(0);
  });

  it('gives its poll bit up to whoever ends it without an event', () => {
    const machine = machineOf();
    const current = machine.vcpu(1, 0);
    machine.platform.asleep = () => {
      machine.hypervisor.vcpuState.markEventsPending(current);
      expect(machine.isBlocked(current)).to.equal(false);
      expect(pollMask(machine)).to.equal(0);
    };
    machine.hypervisor.sched.poll(current, [portOf(machine, 1)], 0);
    expect(machine.platform.sleeps).to.have.length(1);
  });

  it('is ended by its timer, at once if the time has passed', () => {
    const machine = machineOf();
    const { hypervisor, platform } = machine;
    const current = machine.vcpu(1, 0);
    const port = portOf(machine, 1);
    platform.timeNs = 1000;
    platform.asleep = () => {
      if (platform.sleeps.length > 1) return;
      expect(hypervisor.nextDeadline()).to.equal(5000);
      hypervisor.runExpiredTimers(4999);
      expect(machine.isBlocked(current)).to.equal(true);
      hypervisor.runExpiredTimers(5000);
      expect(machine.isBlocked(current)).to.equal(false);
    };
    expect(hypervisor.sched.poll(current, [port], 5000)).to.equal(0);
    expect(hypervisor.sched.poll(current, [port], 1000)).to.equal(0);
    expect(machine.isBlocked(current)).to.equal(false);
    expect(hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
  });

  it('leaves its timer armed when it is ended early, so that a later poll may end early', () => {
    const machine = machineOf();
    const { hypervisor } = machine;
    const port = portOf(machine, 1);
    machine.platform.asleep = () => {
      if (machine.platform.sleeps.length === 1) hypervisor.evtchn.send(machine.vcpu(1, 2), port);
      else hypervisor.runExpiredTimers(5000);
    };
    hypervisor.sched.poll(machine.vcpu(1, 0), [port], 5000);
    expect(hypervisor.nextDeadline()).to.equal(5000);
    machine.acknowledge(machine.vcpu(1, 1));
    hypervisor.sched.poll(machine.vcpu(1, 0), [port], 0);
    expect(machine.isBlocked(machine.vcpu(1, 0))).to.equal(false);
  });

  it('takes nothing but an array of ports', () => {
    const machine = machineOf();
    for (const bad of [undefined, null, 5, 'ab', { length: 1 }] as unknown as number[][]) {
      expect(machine.hypervisor.sched.poll(machine.vcpu(1, 0), bad, 0)).to.equal(-EFAULT);
    }
  });
});

describe('SCHEDOP_yield', () => {
  it('asks the engine', () => {
    const machine = machineOf();
    expect(machine.hypervisor.sched.yield(machine.vcpu(1, 2))).to.equal(0);
    expect(machine.platform.yields).to.deep.equal(['d1v2']);
  });
});

describe('SCHEDOP_shutdown', () => {
  it('stops the domain once, for the reason laid down first', () => {
    const machine = machineOf();
    const { sched } = machine.hypervisor;
    const current = machine.vcpu(1, 0);
    expect(sched.shutdownCodeOf(machine.domain(1))).to.equal(undefined);
    expect(sched.shutdownCode(current, 0x100 + SHUTDOWN_crash)).to.equal(0);
    expect(machine.platform.shutdowns).to.deep.equal([]);
    sched.shutdown(current, SHUTDOWN_poweroff);
    sched.shutdown(machine.vcpu(1, 1), SHUTDOWN_poweroff);
    expect(machine.platform.shutdowns).to.deep.equal([{ domainId: 1, code: SHUTDOWN_crash }]);
    expect(sched.shutdownCodeOf(machine.domain(1))).to.equal(SHUTDOWN_crash);
    expect(machine.platform.sleeps).to.deep.equal(['d1v0', 'd1v1'], 'the callers stop');
  });
});

describe('SCHEDOP_remote_shutdown', () => {
  it('is for control domains, and does not know DOMID_SELF', () => {
    const machine = machineOf();
    const { sched } = machine.hypervisor;
    expect(sched.remoteShutdown(machine.vcpu(1, 0), 77, 0)).to.equal(-ESRCH);
    expect(sched.remoteShutdown(machine.vcpu(1, 0), DOMID_SELF, 0)).to.equal(-ESRCH);
    expect(sched.remoteShutdown(machine.vcpu(2, 0), 1, 0)).to.equal(-EPERM);
    expect(sched.remoteShutdown(machine.vcpu(1, 0), 2, SHUTDOWN_crash)).to.equal(0);
    expect(machine.platform.shutdowns).to.deep.equal([{ domainId: 2, code: SHUTDOWN_crash }]);
  });
});

describe('SCHEDOP_watchdog', () => {
  it('has two watchdogs per domain', () => {
    const machine = machineOf();
    const { sched } = machine.hypervisor;
    const current = machine.vcpu(2, 0);
    expect(sched.watchdog(current, 1, 5)).to.equal(-EINVAL);
    expect([5, 6, 7].map((timeout) => sched.watchdog(current, 0, timeout))).to.deep.equal([1, 2, -ENOSPC]);
    for (const id of [3, -1, 0.5]) expect(sched.watchdog(current, id, 5)).to.equal(-EINVAL);
    expect(sched.watchdog(current, 1, 0)).to.equal(0);
    expect(sched.watchdog(current, 1, 5)).to.equal(-EINVAL);
    expect(sched.watchdog(current, 0, 9)).to.equal(1);
  });

  it('shuts the domain down unless it is called again in time', () => {
    const machine = machineOf();
    const { hypervisor, platform } = machine;
    const current = machine.vcpu(2, 0);
    hypervisor.sched.watchdog(current, 0, 5);
    expect(hypervisor.nextDeadline()).to.equal(5e9);
    platform.timeNs = 4e9;
    hypervisor.sched.watchdog(current, 1, 5);
    expect(hypervisor.runExpiredTimers(8e9)).to.equal(9e9);
    expect(platform.shutdowns).to.deep.equal([]);
    expect(hypervisor.runExpiredTimers(9e9)).to.equal(Number.POSITIVE_INFINITY);
    expect(platform.shutdowns).to.deep.equal([{ domainId: 2, code: SHUTDOWN_watchdog }]);
  });
});
