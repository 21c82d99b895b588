import { expect } from 'chai';
import { FIFO_MASKS, VIRQ_TIMER } from '../../lib/abi';
import { Events } from '../../lib/guest/events';
import { fifoPlaces } from '../../lib/guest/fifo-area';
import { irqDisable, irqEnable } from '../../lib/guest/irq';
import { GuestMachine } from '../support/guest-machine';

const { BUSY, LINKED, MASKED, PENDING } = FIFO_MASKS;

/** One vCPU on the FIFO ABI, upcalls disabled. */
function fifoVcpu(maxPort = 1023, frames = 64) {
  const machine = new GuestMachine({ events: 'fifo', vcpus: 1, maxPort, frames });
  const vcpu = machine.guest(0);
  irqDisable(vcpu);
  const events = new Events(vcpu);
  const { array } = fifoPlaces(1, vcpu.domain.frames * 4096, maxPort);
  return { machine, vcpu, events, wordOf: (port: number) => array + port * 4 };
}

describe('the library under the FIFO ABI', () => {
  it('serves a high-priority event next, however many of a low one wait', () => {
    const LOW = 10_000;
    const { events, vcpu } = fifoVcpu(LOW + 10, 128);
    const served: number[] = [];
    const high = events.bindIpi((port) => served.push(port));
    events.setPriority(high, 2);
    const low = Array.from({ length: LOW }, () =>
      events.bindIpi((port) => {
        served.push(port);
        if (served.length === 5) vcpu.hypercall.evtchn.send(high);
      }),
    );
    for (const port of low) vcpu.hypercall.evtchn.send(port);
    irqEnable(vcpu);
    expect(served.length).to.equal(LOW + 1);
    expect(served.slice(0, 5)).to.deep.equal(low.slice(0, 5));
    expect(served[5]).to.equal(high);
    expect(served.slice(6)).to.deep.equal(low.slice(5));
  });

  it('serves VIRQ_TIMER ahead of all others', () => {
    const { events, machine, vcpu } = fifoVcpu();
    const served: string[] = [];
    const other = events.bindIpi(() => served.push('other'));
    events.bindVirq(VIRQ_TIMER, () => served.push('timer'));
    vcpu.hypercall.evtchn.send(other);
    machine.hypervisor.sendVcpuVirq(machine.hvVcpu(0), VIRQ_TIMER);
    irqEnable(vcpu);
    expect(served).to.deep.equal(['timer', 'other']);
  });

  it('has no priorities under the 2-level ABI', () => {
    const events = new Events(new GuestMachine({ vcpus: 1 }).guest(0));
    const port = events.bindIpi(() => {});
    expect(() => events.setPriority(port, 1)).to.throw('ENOSYS');
  });

  it('adds a page to the event array when a port needs it, masked if all ports are', () => {
    const { events, vcpu, wordOf } = fifoVcpu(2047);
    events.maskAll();
    const served: number[] = [];
    for (let port = 1; port < 1024; port++) vcpu.hypercall.evtchn.bindIpi(0);
    const port = events.bindIpi((each) => served.push(each));
    expect(port).to.equal(1024);
    vcpu.hypercall.evtchn.send(port);
    vcpu.hypercall.evtchn.send(1023);
    irqEnable(vcpu);
    expect(served).to.deep.equal([port]);
    expect(vcpu.memory.read32(wordOf(1023)) & (MASKED | LINKED)).to.equal(MASKED);
    expect(vcpu.memory.read32(wordOf(2047))).to.equal(MASKED);
  });

  it('waits with an unmask while the hypervisor links the word to another', () => {
    const { events, machine, vcpu, wordOf } = fifoVcpu();
    const port = events.bindIpi(() => {});
    const word = wordOf(port);
    vcpu.memory.or32(word, MASKED | BUSY);
    let waited = 0;
    machine.onRelax = () => {
      if (++waited === 3) vcpu.memory.and32(word, ~BUSY);
    };
    events.unmask(port);
    expect(waited).to.equal(3);
    expect(vcpu.memory.read32(word) & (MASKED | BUSY)).to.equal(0);
  });

  it('leaves an event alone whose handler does not stand yet, and delivers it when it does', () => {
    const { events, vcpu, wordOf } = fifoVcpu();
    const port = vcpu.hypercall.evtchn.bindIpi(0);
    vcpu.hypercall.evtchn.send(port);
    irqEnable(vcpu);
    expect(vcpu.memory.read32(wordOf(port)) & (PENDING | LINKED)).to.equal(PENDING | 0);
    irqDisable(vcpu);
    let runs = 0;
    // An IPI port cannot be moved, which bindEvtchn does: mask and unmask are what a bind ends with.
    events.expect(port, () => runs++);
    events.mask(port);
    events.unmask(port);
    irqEnable(vcpu);
    expect(runs).to.equal(1);
  });

  it('masks a port for good although another vCPU is passing its event on', () => {
    const machine = new GuestMachine({ events: 'fifo', vcpus: 2 });
    const [first, second] = machine.guests.map((vcpu) => {
      irqDisable(vcpu);
      return new Events(vcpu);
    }) as [Events, Events];
    let runs = 0;
    const port = second.bindIpi(() => runs++);
    // As vCPU 0 would while it passes an event on: the counter is up, and the unmask comes before it goes down.
    const forwarders = fifoPlaces(2, first.vcpu.domain.frames * 4096, 1023).shared + 8;
    first.vcpu.memory.add32(forwarders, 1);
    machine.onRelax = () => {
      first.vcpu.hypercall.evtchn.unmask(port);
      first.vcpu.memory.add32(forwarders, -1);
    };
    second.mask(port);
    expect(second.isMasked(port)).to.equal(true);
    first.vcpu.hypercall.evtchn.send(port);
    irqEnable(second.vcpu);
    expect(runs).to.equal(0);
  });

  it('says how much memory the event array takes when there is too little', () => {
    const machine = new GuestMachine({ events: 'fifo', vcpus: 1, maxPort: 131_071, frames: 64 });
    expect(() => new Events(machine.guest(0))).to.throw(RangeError, 'give the domain 132 frames');
  });
});
