import { expect } from 'chai';
import { DOMID_SELF, EVTCHNSTAT, HYPERCALLS, HypercallError, RUNSTATE, VIRQ_TIMER } from '../../lib/abi';
import type { Hypercalls } from '../../lib/guest/vcpu';
import { hypercallNames } from '../../lib/hypervisor/hypercall-names';
import { createHypercalls } from '../../lib/hypervisor/hypercalls';
import { quiet, TestMachine } from './support/machine';

function machineOf(): { machine: TestMachine; hypercall: Hypercalls; log: string[] } {
  const machine = new TestMachine([
    quiet({ id: 1, vcpus: 2, privileged: true, hardwareDomain: true, pirqs: [3] }),
    quiet({ id: 2 }),
  ]);
  const log: string[] = [];
  const gate = { enter: (name: string) => log.push(name), exit: () => log.push('exit') };
  const hypercall: Hypercalls = createHypercalls(machine.hypervisor, machine.vcpu(1, 0), gate);
  return { machine, hypercall, log };
}

function errorOf(call: () => unknown): HypercallError {
  try {
    call();
  } catch (error) {
    if (error instanceof HypercallError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a typed hypercall', () => {
  it('has a name that a trace can tell, whichever it is', () => {
    const { hypercall, log } = machineOf();
    for (const group of Object.values(hypercall)) {
      for (const call of Object.values<unknown>(group as Readonly<Record<string, unknown>>)) {
        try {
          if (typeof call === 'function') call(0, 0, 0);
        } catch {
          // With such arguments most are refused, behind the gate or before it.
        }
      }
    }
    const names = new Set(log.filter((name) => name !== 'exit'));
    expect(names.size).to.be.above(35);
    expect([...names]).to.include.members(['set_timer_op', 'XEN_DOMCTL_getdomaininfo']);
    expect(hypercallNames()).to.include.members([...names]);
  });

  it('returns results and passes the gate before and after', () => {
    const { hypercall, log } = machineOf();
    expect(hypercall.evtchn.bindIpi(1)).to.equal(1);
    expect(hypercall.evtchn.bindVirq(VIRQ_TIMER, 0)).to.equal(2);
    expect(hypercall.evtchn.send(1)).to.equal(undefined);
    expect(log).to.deep.equal(['EVTCHNOP_bind_ipi', 'exit', 'EVTCHNOP_bind_virq', 'exit', 'EVTCHNOP_send', 'exit']);
  });

  it('throws an error that names hypercall and errno, behind the gate', () => {
    const { hypercall, log } = machineOf();
    const error = errorOf(() => hypercall.evtchn.send(99));
    expect(error).to.include({ errno: 22, code: 'EINVAL', hypercall: 'EVTCHNOP_send' });
    expect(log).to.deep.equal(['EVTCHNOP_send', 'exit']);
  });

  it('reports only the fields a status has', () => {
    const { hypercall } = machineOf();
    const unbound = hypercall.evtchn.allocUnbound(DOMID_SELF, 2);
    const pirq = hypercall.evtchn.bindPirq(3);
    const statuses = [unbound, pirq, hypercall.evtchn.bindVirq(VIRQ_TIMER, 1), 50].map((port) =>
      hypercall.evtchn.status(DOMID_SELF, port),
    );
    expect(statuses).to.deep.equal([
      { status: EVTCHNSTAT.EVTCHNSTAT_unbound, vcpu: 0, dom: 2 },
      { status: EVTCHNSTAT.EVTCHNSTAT_pirq, vcpu: 0, pirq: 3 },
      { status: EVTCHNSTAT.EVTCHNSTAT_virq, vcpu: 1, virq: VIRQ_TIMER },
      { status: EVTCHNSTAT.EVTCHNSTAT_closed, vcpu: 0 },
    ]);
  });

  it('reads and writes the console', () => {
    const { hypercall, machine } = machineOf();
    hypercall.console.write('grüezi');
    hypercall.console.write(new Uint8Array([65]));
    expect(machine.platform.output).to.deep.equal(['d1v0: grüezi', 'd1v0: A']);
    machine.hypervisor.consoleInput(new TextEncoder().encode('abc'));
    expect([...hypercall.console.read(2)]).to.deep.equal([97, 98]);
    expect([...hypercall.console.read(2000)]).to.deep.equal([99]);
    expect(errorOf(() => hypercall.console.read(2 ** 31)).code).to.equal('E2BIG');
  });

  it('gives runstates as 64-bit integers', () => {
    const { hypercall, machine } = machineOf();
    machine.platform.timeNs = 40;
    machine.hypervisor.sched.switchIn(machine.vcpu(1, 1));
    machine.platform.timeNs = 100;
    expect(hypercall.vcpu.getRunstateInfo(1)).to.deep.equal({
      state: RUNSTATE.RUNSTATE_running,
      stateEntryTimeNs: 40n,
      timeNs: [60n, 0n, 0n, 40n],
    });
  });

  it('does not come back from shutdown', () => {
    const { hypercall, machine } = machineOf();
    expect(() => hypercall.sched.shutdown(0)).to.throw('the engine let a vCPU go on');
    expect(machine.platform.shutdowns).to.deep.equal([{ domainId: 1, code: 0 }]);
  });

  it('reaches every operation', () => {
    const { hypercall, log } = machineOf();
    const { evtchn, physdev, sched, timer, vcpu } = hypercall;
    const calls: (() => unknown)[] = [
      () => evtchn.bindInterdomain(2, 1),
      () => evtchn.close(1),
      () => evtchn.bindVcpu(1, 0),
      () => evtchn.unmask(1),
      () => evtchn.reset(DOMID_SELF),
      () => evtchn.initControl(9, 0, 0),
      () => evtchn.expandArray(9),
      () => evtchn.setPriority(1, 0),
      () => sched.yield(),
      () => sched.block(),
      () => sched.poll([]),
      () => sched.shutdownCode(1),
      () => sched.remoteShutdown(2, 0),
      () => sched.watchdog(0, 5),
      () => vcpu.initialise(1),
      () => vcpu.up(1),
      () => vcpu.down(1),
      () => vcpu.isUp(1),
      () => vcpu.registerRunstateMemoryArea(0, 0x9000),
      () => vcpu.registerVcpuInfo(0, 9, 0),
      () => vcpu.setPeriodicTimer(0, 1e7),
      () => vcpu.stopPeriodicTimer(0),
      () => vcpu.setSingleshotTimer(0, 5),
      () => vcpu.stopSingleshotTimer(0),
      () => timer.setTimerOp(5),
      () => physdev.eoi(3),
      () => physdev.irqStatusQuery(3),
      () => hypercall.xenVersion(),
    ];
    for (const call of calls) {
      try {
        call();
      } catch (error) {
        expect(error).to.be.instanceOf(HypercallError);
      }
    }
    const names = log.filter((entry) => entry !== 'exit');
    expect(names).to.have.length(calls.length);
    expect(new Set(names).size).to.equal(calls.length);
  });

  it('cannot be changed by the guest', () => {
    const { hypercall } = machineOf();
    for (const object of [hypercall, ...Object.values(hypercall)])
      expect(Object.isFrozen(object) || typeof object === 'function').to.equal(true);
  });
});

describe('a raw hypercall', () => {
  it('passes the gate under the name of its command', () => {
    const { hypercall, log } = machineOf();
    hypercall.raw(HYPERCALLS.__HYPERVISOR_event_channel_op, 4, 0);
    hypercall.raw(HYPERCALLS.__HYPERVISOR_sched_op, 1);
    hypercall.raw(HYPERCALLS.__HYPERVISOR_event_channel_op, 77, 0);
    hypercall.raw(HYPERCALLS.__HYPERVISOR_set_timer_op, 0);
    hypercall.raw(99);
    expect(log.filter((entry) => entry !== 'exit')).to.deep.equal([
      'EVTCHNOP_send',
      'SCHEDOP_block',
      '__HYPERVISOR_event_channel_op',
      '__HYPERVISOR_set_timer_op',
      'hypercall 99',
    ]);
  });
});
