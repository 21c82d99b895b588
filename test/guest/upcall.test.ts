import { expect } from 'chai';
import { ABI_NAMES, type AbiName, VIRQ_DEBUG, VIRQ_TIMER } from '../../lib/abi';
import { Events } from '../../lib/guest/events';
import { irqDisable, irqEnable } from '../../lib/guest/irq';
import { GuestMachine } from '../support/guest-machine';

for (const abi of ABI_NAMES) {
  describe(`upcall dispatch, ${abi}`, () => {
    upcallTests(abi);
  });
}

function upcallTests(abi: AbiName): void {
  const lastPort = abi === 'x86_32' ? 1023 : 4095;

  /** vCPU 0 with IPIs on the ports from 1 up, upcalls disabled; `served` tells the order of handlers. */
  function ipis(count: number) {
    const machine = new GuestMachine({ abi, maxPort: lastPort });
    const vcpu = machine.guest(0);
    irqDisable(vcpu);
    const events = new Events(vcpu);
    const served: number[] = [];
    for (let i = 0; i < count; i++) events.bindIpi((port) => served.push(port));
    const send = (...ports: number[]) => {
      for (const port of ports) vcpu.hypercall.evtchn.send(port);
    };
    /** Takes what is pending, in one upcall. */
    const take = () => {
      served.length = 0;
      irqEnable(vcpu);
      irqDisable(vcpu);
      return [...served];
    };
    return { machine, vcpu, events, send, take };
  }

  it('serves ports in ascending order, over words and halves of words', () => {
    const { send, take } = ipis(200);
    send(130, 64, 3, 63, 31, 33, 200);
    expect(take()).to.deep.equal([3, 31, 33, 63, 64, 130, 200]);
  });

  it('serves every port the ABI has', () => {
    const { send, take } = ipis(lastPort);
    send(lastPort);
    expect(take()).to.deep.equal([lastPort]);
    const all = Array.from({ length: lastPort }, (_, i) => i + 1);
    send(...all);
    expect(take()).to.deep.equal(all);
  });

  it('begins after the port served last and wraps round', () => {
    const { send, take } = ipis(200);
    send(40);
    take();
    send(1, 39, 40, 41, 63, 100);
    expect(take()).to.deep.equal([41, 63, 100, 1, 39, 40]);
    send(199);
    take();
    send(2, 198, 200);
    expect(take()).to.deep.equal([200, 2, 198]);
  });

  it('begins in the next word after the last port of a word', () => {
    const { send, take } = ipis(200);
    for (const last of [31, 63, 127]) {
      send(last);
      take();
      send(last - 1, last + 1);
      expect(take()).to.deep.equal([last + 1, last - 1]);
    }
  });

  it('wraps from the highest port to the lowest', () => {
    const { send, take } = ipis(lastPort);
    send(lastPort);
    take();
    send(lastPort, 1);
    expect(take()).to.deep.equal([1, lastPort]);
  });

  it('lets no port that is raised again and again starve another', () => {
    const { vcpu, events, send, take } = ipis(0);
    const served: number[] = [];
    const busy = events.bindIpi((port) => {
      served.push(port);
      if (served.length < 20) vcpu.hypercall.evtchn.send(port);
    });
    const other = events.bindIpi((port) => served.push(port));
    send(busy, other);
    take();
    expect(served.slice(0, 2)).to.deep.equal([busy, other]);
    expect(served.filter((port) => port === busy)).to.have.length(19);
  });

  it('runs a handler again for an event that came while it ran', () => {
    const { vcpu, events, send, take } = ipis(0);
    let runs = 0;
    const port = events.bindIpi(() => {
      if (++runs === 1) vcpu.hypercall.evtchn.send(port);
    });
    send(port);
    take();
    expect(runs).to.equal(2);
  });

  it('loses no event that comes at any moment of an upcall', () => {
    const [first, sameWord, otherWord] = [2, 9, 140];
    for (const late of [first, sameWord, otherWord]) {
      for (let n = 0; n < 30; n++) {
        const { machine, vcpu, events, send, take } = ipis(0);
        const runs = new Map<number, number>();
        const handler = (port: number) => void runs.set(port, (runs.get(port) ?? 0) + 1);
        for (let port = 1; port <= otherWord; port++) events.bindIpi(handler);
        send(first);
        let wanted = 1;
        machine.interruptAt(0, n, () => {
          wanted = (runs.get(late) ?? 0) + 1;
          machine.hypervisor.evtchn.send(machine.hvVcpu(0), late);
        });
        take();
        take();
        machine.beforeAccess = () => {};
        expect(vcpu.info.evtchn_upcall_pending.read()).to.equal(0);
        expect(events.isPending(late), `port ${late} before access ${n}`).to.equal(false);
        if (late === first || n < 10) {
          expect(runs.get(late), `a run after the event before access ${n}`).to.be.at.least(wanted);
        }
      }
    }
  });

  it('merges events that come before the upcall', () => {
    const { send, take } = ipis(3);
    send(2, 2, 2);
    expect(take()).to.deep.equal([2]);
    expect(take()).to.deep.equal([]);
  });

  it('runs handlers with upcalls disabled and leaves them enabled', () => {
    const { vcpu, events, send, take } = ipis(0);
    const masks: number[] = [];
    send(events.bindIpi(() => masks.push(vcpu.info.evtchn_upcall_mask.read())));
    take();
    expect(masks).to.deep.equal([1]);
  });

  it('tolerates selector bits with nothing behind them', () => {
    const { vcpu, send, take } = ipis(3);
    vcpu.info.evtchn_pending_sel.lo.store(-1);
    vcpu.info.evtchn_pending_sel.hi?.store(-1);
    vcpu.info.evtchn_upcall_pending.write(1);
    expect(take()).to.deep.equal([]);
    send(2);
    expect(take()).to.deep.equal([2]);
  });

  it('leaves a masked port alone when it serves its neighbour', () => {
    const { events, send, take } = ipis(3);
    events.mask(2);
    send(2, 3);
    expect(take()).to.deep.equal([3]);
    expect(events.isPending(2)).to.equal(true);
  });

  it('serves the timer ahead of all other ports', () => {
    const { machine, events, send, take } = ipis(5);
    const order: string[] = [];
    const ipi = events.bindIpi(() => order.push('ipi'));
    events.bindVirq(VIRQ_DEBUG, () => order.push('debug'));
    events.bindVirq(VIRQ_TIMER, () => order.push('timer'));
    send(ipi);
    machine.hypervisor.sendVcpuVirq(machine.hvVcpu(0), VIRQ_DEBUG);
    machine.hypervisor.sendVcpuVirq(machine.hvVcpu(0), VIRQ_TIMER);
    take();
    expect(order).to.deep.equal(['timer', 'ipi', 'debug']);
  });

  it('does not serve a masked timer', () => {
    const { machine, events, take } = ipis(0);
    let runs = 0;
    const port = events.bindVirq(VIRQ_TIMER, () => runs++);
    events.mask(port);
    machine.hypervisor.sendVcpuVirq(machine.hvVcpu(0), VIRQ_TIMER);
    take();
    expect(runs).to.equal(0);
    events.unmask(port);
    take();
    expect(runs).to.equal(1);
  });

  it('skips a port that a handler before it unbound', () => {
    const { events, send, take } = ipis(0);
    const served: string[] = [];
    const first = events.bindIpi(() => {
      served.push('first');
      events.unbind(second);
    });
    const second = events.bindIpi(() => served.push('second'));
    send(first, second);
    take();
    expect(served).to.deep.equal(['first']);
  });

  it('leaves alone the ports that another vCPU serves', () => {
    const machine = new GuestMachine({ abi, vcpus: 2, onlineVcpus: 'all' });
    const [one, two] = [machine.guest(0), machine.guest(1)];
    const served: string[] = [];
    const mine = new Events(one).bindIpi(() => served.push('mine'));
    const yours = new Events(two).bindIpi(() => served.push('yours'));
    one.hypercall.evtchn.send(yours);
    one.hypercall.evtchn.send(mine);
    irqEnable(one);
    expect(served).to.deep.equal(['mine']);
    irqEnable(two);
    expect(served).to.deep.equal(['mine', 'yours']);
  });
}
