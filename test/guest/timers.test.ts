import { expect } from 'chai';
import { VIRQ_TIMER } from '../../lib/abi';
import { systemTimeNs } from '../../lib/guest/clock';
import { Events } from '../../lib/guest/events';
import { irqEnable } from '../../lib/guest/irq';
import { MAX_TIMERS } from '../../lib/guest/kernel-area';
import { Timers } from '../../lib/guest/timers';
import { GuestMachine, type GuestMachineOptions } from '../support/guest-machine';

const MS = 1_000_000;

function oneVcpu(options: GuestMachineOptions = {}) {
  const machine = new GuestMachine(options);
  const vcpu = machine.guest(0);
  const timers = new Timers(new Events(vcpu));
  irqEnable(vcpu);
  /** Lets time pass in steps, with the vCPU running. */
  const run = (ns: number, stepNs = MS) => {
    for (let passed = 0; passed < ns; passed += stepNs) {
      machine.passTime(stepNs);
      vcpu.deliverUpcalls();
    }
  };
  return { machine, vcpu, timers, run };
}

for (const abi of ['x86_64', 'x86_32'] as const) {
  describe(`Timers, ${abi}`, () => {
    it('fire once, in the order of their deadlines, and not before', () => {
      const { machine, timers, run } = oneVcpu({ abi });
      const fired: [string, number][] = [];
      for (const [name, deadline] of [['b', 20] as const, ['a', 10] as const, ['c', 20] as const]) {
        timers.create(() => fired.push([name, machine.now])).startAt(deadline * MS);
      }
      run(50 * MS);
      expect(fired).to.deep.equal([
        ['a', 10 * MS],
        ['b', 20 * MS],
        ['c', 20 * MS],
      ]);
    });

    it('fire at once when the deadline has passed', () => {
      const { machine, vcpu, timers } = oneVcpu({ abi });
      machine.now = 5 * MS;
      let fired = 0;
      timers.create(() => fired++).startAt(2 * MS);
      vcpu.deliverUpcalls();
      expect(fired).to.equal(1);
    });

    it('tick at multiples of their period from the start', () => {
      const { machine, timers, run } = oneVcpu({ abi });
      const times: number[] = [];
      machine.now = 3 * MS;
      timers.create(() => times.push(machine.now / MS)).startEvery(10 * MS);
      run(45 * MS);
      expect(times).to.deep.equal([13, 23, 33, 43]);
    });

    it('skip ticks that were missed and keep to the raster', () => {
      const { machine, timers, run } = oneVcpu({ abi });
      const times: number[] = [];
      timers.create(() => times.push(machine.now / MS)).startEvery(10 * MS);
      run(37 * MS, 37 * MS);
      run(13 * MS);
      expect(times).to.deep.equal([37, 40, 50]);
    });

    it('stop, also from their own callback', () => {
      const { timers, run } = oneVcpu({ abi });
      let ticks = 0;
      const self = timers.create(() => {
        if (++ticks === 2) self.stop();
      });
      const other = timers.create(() => expect.fail('it was stopped'));
      self.startEvery(10 * MS);
      other.startAt(5 * MS);
      other.stop();
      other.stop();
      run(100 * MS);
      expect(ticks).to.equal(2);
    });

    it('started again forget the earlier deadline', () => {
      const { machine, timers, run } = oneVcpu({ abi });
      const times: number[] = [];
      const timer = timers.create(() => times.push(machine.now / MS));
      timer.startAt(10 * MS);
      timer.startAt(30 * MS);
      run(50 * MS);
      expect(times).to.deep.equal([30]);
    });

    it('that start anew in the past do not keep other events waiting', () => {
      const machine = new GuestMachine({ abi });
      const vcpu = machine.guest(0);
      const events = new Events(vcpu);
      const timers = new Timers(events);
      let fired = 0;
      let firedBeforeIpi = 0;
      const port = events.bindIpi(() => {
        firedBeforeIpi = fired;
      });
      const timer = timers.create(() => {
        if (++fired < 100) timer.startAt(1);
      });
      machine.now = 5 * MS;
      timer.startAt(1);
      vcpu.hypercall.evtchn.send(port);
      irqEnable(vcpu);
      expect(fired).to.equal(100);
      expect(firedBeforeIpi).to.be.within(1, MAX_TIMERS);
    });
  });
}

describe('Timers', () => {
  it('wake a sleeping vCPU', () => {
    const { machine, vcpu, timers } = oneVcpu();
    timers.sleep(7 * MS);
    expect(machine.now).to.equal(7 * MS);
    timers.sleepUntil(20 * MS);
    expect(systemTimeNs(vcpu)).to.equal(20 * MS);
  });

  it('run callbacks during a sleep, which goes on after them', () => {
    const { machine, timers } = oneVcpu();
    const times: number[] = [];
    timers.create(() => times.push(machine.now / MS)).startEvery(10 * MS);
    timers.sleep(35 * MS);
    expect(times).to.deep.equal([10, 20, 30]);
    expect(machine.now).to.equal(35 * MS);
  });

  it('stop the periodic timer a PV vCPU starts with', () => {
    const { machine } = oneVcpu({ periodicTimerNs: 10 * MS });
    expect(machine.hypervisor.nextDeadline()).to.equal(Number.POSITIVE_INFINITY);
  });

  it('are at most as many as a kernel block has room for', () => {
    const { timers } = oneVcpu();
    // One is taken by sleep().
    for (let i = 1; i < MAX_TIMERS; i++) timers.create(() => {});
    expect(() => timers.create(() => {})).to.throw(RangeError, `at most ${MAX_TIMERS}`);
  });

  it('take spurious VIRQ_TIMERs for what they are', () => {
    const { machine, vcpu, timers, run } = oneVcpu();
    let fired = 0;
    timers.create(() => fired++).startAt(10 * MS);
    machine.hypervisor.sendVcpuVirq(machine.hvVcpu(0), VIRQ_TIMER);
    vcpu.deliverUpcalls();
    expect(fired).to.equal(0);
    run(10 * MS);
    expect(fired).to.equal(1);
  });

  it('of different vCPUs do not meet', () => {
    const machine = new GuestMachine({ vcpus: 2 });
    const fired: number[] = [];
    for (const vcpu of machine.guests) {
      const timers = new Timers(new Events(vcpu));
      irqEnable(vcpu);
      timers.create(() => fired.push(vcpu.id)).startAt((2 - vcpu.id) * 10 * MS);
    }
    for (let i = 0; i < 3; i++) {
      machine.passTime(10 * MS);
      for (const vcpu of machine.guests) vcpu.deliverUpcalls();
    }
    expect(fired).to.deep.equal([1, 0]);
  });
});
