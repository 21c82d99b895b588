import { expect } from 'chai';
import { type AbiName, DOMID_SELF, VIRQ_TIMER } from '../../lib/abi';
import { Events } from '../../lib/guest/events';
import { irqDisable, irqEnable } from '../../lib/guest/irq';
import type { EventHandler } from '../../lib/guest/port-control';
import { EVENT_ABIS, type EventAbi } from '../../lib/guest/vcpu';
import { GuestMachine } from '../support/guest-machine';

/** More than any operation tested here makes. */
const MAX_ACCESSES = 60;

/** One vCPU with upcalls enabled, and a way to have the hypervisor send to it in between. */
function oneVcpu(eventAbi: EventAbi, abi: AbiName = 'x86_64') {
  const machine = new GuestMachine({ abi, events: eventAbi, vcpus: 1, pirqs: [4] });
  const vcpu = machine.guest(0);
  irqDisable(vcpu);
  const events = new Events(vcpu);
  irqEnable(vcpu);
  const { evtchn } = machine.hypervisor;
  return { machine, vcpu, events, send: (port: number) => evtchn.send(machine.hvVcpu(0), port) };
}

/** Two vCPUs with upcalls enabled. */
function twoVcpus(eventAbi: EventAbi) {
  const machine = new GuestMachine({ events: eventAbi, vcpus: 2 });
  const guests = machine.guests.map((vcpu) => {
    irqDisable(vcpu);
    const events = new Events(vcpu);
    irqEnable(vcpu);
    return events;
  });
  return { machine, first: guests[0] as Events, second: guests[1] as Events, secondVcpu: machine.guest(1) };
}

/** No port of vCPU 0 is pending and unmasked while no upcall is due: nobody would ever look at it. */
function expectNoDeadPort(events: Events, ports: readonly number[]): void {
  for (const port of ports) expect(events.isPending(port) && !events.isMasked(port), `port ${port}`).to.equal(false);
}

for (const eventAbi of EVENT_ABIS) {
  describe(`Events, ${eventAbi}`, () => {
    for (const abi of ['x86_64', 'x86_32', 'arm64'] as const) {
      it(`loses no event that comes at any moment of a bind, ${abi}`, () => {
        for (let n = 0; n < MAX_ACCESSES; n++) {
          const { machine, vcpu, events, send } = oneVcpu(eventAbi, abi);
          let runs = 0;
          // The lowest free port is known beforehand, so the event can come as soon as the channel exists.
          machine.interruptAt(0, n, () => {
            if (vcpu.hypercall.evtchn.status(DOMID_SELF, 1).status !== 0) send(1);
            else runs = 1;
          });
          const port = events.bindIpi(() => runs++);
          irqEnable(vcpu);
          machine.beforeAccess = () => {};
          expect(port).to.equal(1);
          if (runs === 0) send(port);
          irqEnable(vcpu);
          expect(runs, `event before access ${n}`).to.equal(1);
          expectNoDeadPort(events, [port]);
        }
      });

      it(`loses no event that comes at any moment of an unmask, ${abi}`, () => {
        for (let n = 0; n < MAX_ACCESSES; n++) {
          const { machine, vcpu, events, send } = oneVcpu(eventAbi, abi);
          let runs = 0;
          let sent = 0;
          const port = events.bindIpi(() => runs++);
          events.mask(port);
          machine.interruptAt(0, n, () => {
            send(port);
            sent++;
          });
          events.unmask(port);
          irqEnable(vcpu);
          expect(runs, `event before access ${n}`).to.equal(sent);
          expectNoDeadPort(events, [port]);
        }
      });

      it(`delivers on unmask what came while the port was masked, ${abi}`, () => {
        const { vcpu, events, send } = oneVcpu(eventAbi, abi);
        let runs = 0;
        const port = events.bindIpi(() => runs++);
        events.mask(port);
        send(port);
        irqEnable(vcpu);
        expect(runs).to.equal(0);
        events.unmask(port);
        expect(runs, 'without any further access of the guest').to.equal(1);
      });
    }

    it('delivers on unmask later, if upcalls are disabled then', () => {
      const { vcpu, events, send } = oneVcpu(eventAbi);
      let runs = 0;
      const port = events.bindIpi(() => runs++);
      events.mask(port);
      send(port);
      irqDisable(vcpu);
      events.unmask(port);
      expect(runs).to.equal(0);
      irqEnable(vcpu);
      expect(runs).to.equal(1);
    });

    it('masks all ports, and only the ports', () => {
      const { vcpu, events } = oneVcpu(eventAbi);
      events.maskAll();
      for (const port of [1, 31, 32, 1023]) expect(events.isMasked(port)).to.equal(true);
      expect(events.isPending(1023)).to.equal(false);
      if (eventAbi === 'fifo') return;
      const { evtchn_mask, evtchn_pending, wc_version } = vcpu.sharedInfo;
      for (let i = 0; i < evtchn_mask.wordCount; i++) expect(evtchn_mask.word(i).read()).to.equal(-1);
      expect(evtchn_pending.word(evtchn_pending.wordCount - 1).read()).to.equal(0);
      expect(wc_version.read()).to.not.equal(-1);
    });

    it('unmasks a port of another vCPU there', () => {
      const { machine, first, second } = twoVcpus(eventAbi);
      const served: string[] = [];
      const port = second.bindIpi(() => served.push('second'));
      second.mask(port);
      first.vcpu.hypercall.evtchn.send(port);
      first.unmask(port);
      irqEnable(first.vcpu);
      expect(served).to.deep.equal([]);
      expect(machine.guest(0).info.evtchn_pending_sel.lo.read(), 'a foreign selector stays untouched').to.equal(0);
      irqEnable(second.vcpu);
      expect(served).to.deep.equal(['second']);
    });

    it('sends a movable port to the vCPU that binds it', () => {
      const { first, second } = twoVcpus(eventAbi);
      const served: string[] = [];
      const { evtchn } = first.vcpu.hypercall;
      const far = evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
      const near = second.bindInterdomain(DOMID_SELF, far, () => served.push('near'));
      irqEnable(first.vcpu);
      irqEnable(second.vcpu);
      expect(served, 'the event the hypervisor makes up').to.deep.equal(['near']);
      second.bindEvtchn(far, () => served.push('far'));
      evtchn.send(near);
      evtchn.send(far);
      irqEnable(first.vcpu);
      expect(served).to.deep.equal(['near']);
      irqEnable(second.vcpu);
      expect(served).to.have.members(['near', 'near', 'far']);
    });

    it('delivers a PIRQ to the vCPU that binds it', () => {
      const { machine, vcpu, events } = oneVcpu(eventAbi);
      let runs = 0;
      events.bindPirq(4, () => {
        runs++;
        vcpu.hypercall.physdev.eoi(4);
      });
      for (let i = 0; i < 3; i++) {
        machine.hypervisor.raisePirq(4);
        irqEnable(vcpu);
      }
      expect(runs).to.equal(3);
    });

    describe('unbind', () => {
      it('leaves the number free for another vCPU, whose handler it then finds', () => {
        const { first, second } = twoVcpus(eventAbi);
        const served: string[] = [];
        const old = first.bindIpi(() => served.push('old'));
        first.unbind(old);
        const reused = second.bindIpi(() => served.push('new'));
        expect(reused).to.equal(old);
        first.vcpu.hypercall.evtchn.send(reused);
        irqEnable(first.vcpu);
        irqEnable(second.vcpu);
        expect(served).to.deep.equal(['new']);
      });

      it('forgets everything before it closes: the new owner may be there at once', () => {
        const { machine, first, second } = twoVcpus(eventAbi);
        const served: string[] = [];
        const old = first.bindIpi(() => served.push('old'));
        // The number is taken again as soon as it can be.
        machine.beforeAccess = ({ vcpuId }) => {
          if (vcpuId !== 0 || second.vcpu.hypercall.evtchn.status(DOMID_SELF, old).status !== 0) return;
          machine.beforeAccess = () => {};
          expect(second.bindIpi(() => served.push('new'))).to.equal(old);
        };
        first.unbind(old);
        irqEnable(first.vcpu);
        first.vcpu.hypercall.evtchn.send(old);
        irqEnable(first.vcpu);
        irqEnable(second.vcpu);
        expect(served).to.deep.equal(['new']);
      });

      it('gives VIRQ_TIMER back', () => {
        const { machine, vcpu, events } = oneVcpu(eventAbi);
        const served: string[] = [];
        const port = events.bindVirq(VIRQ_TIMER, () => served.push('timer'));
        events.unbind(port);
        const ipi = events.bindIpi(() => served.push('ipi'));
        expect(ipi).to.equal(port);
        machine.hypervisor.sendVcpuVirq(machine.hvVcpu(0), VIRQ_TIMER);
        vcpu.hypercall.evtchn.send(ipi);
        expect(served).to.deep.equal(['ipi']);
        events.bindVirq(VIRQ_TIMER, () => served.push('timer again'));
        machine.hypervisor.sendVcpuVirq(machine.hvVcpu(0), VIRQ_TIMER);
        irqEnable(vcpu);
        expect(served).to.deep.equal(['ipi', 'timer again']);
      });
    });

    describe('rebind', () => {
      /** A channel within the domain whose near end vCPU 0 serves and vCPU 1 expects. */
      function movable(onFirst: EventHandler, onSecond: EventHandler) {
        const { machine, first, second, secondVcpu } = twoVcpus(eventAbi);
        const { evtchn } = first.vcpu.hypercall;
        const far = evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
        const near = evtchn.bindInterdomain(DOMID_SELF, far);
        first.take(near);
        first.bindEvtchn(near, onFirst);
        second.expect(near, onSecond);
        const send = () => machine.hypervisor.evtchn.send(machine.hvVcpu(0), far);
        return { machine, first, second, secondVcpu, near, send };
      }

      it('moves a port to another vCPU', () => {
        const served: string[] = [];
        const { first, second, near, send } = movable(
          () => served.push('first'),
          () => served.push('second'),
        );
        send();
        irqEnable(first.vcpu);
        first.rebind(near, 1);
        send();
        irqEnable(first.vcpu);
        irqEnable(second.vcpu);
        expect(served).to.deep.equal(['first', 'second']);
      });

      it('loses no event that comes at any moment of the move', () => {
        for (let n = 0; n < MAX_ACCESSES; n++) {
          let runs = 0;
          let sent = 0;
          const { machine, first, second, secondVcpu, near, send } = movable(
            () => runs++,
            () => runs++,
          );
          machine.interruptAt(0, n, () => {
            send();
            sent++;
          });
          // The new vCPU runs at the same time: whatever is announced there is taken there at once.
          const interrupt = machine.beforeAccess;
          machine.beforeAccess = (vcpu) => {
            if (vcpu.vcpuId === 1) return;
            interrupt(vcpu);
            secondVcpu.deliverUpcalls();
          };
          first.rebind(near, 1);
          machine.beforeAccess = () => {};
          irqEnable(first.vcpu);
          irqEnable(second.vcpu);
          expect(runs, `event before access ${n}`).to.equal(sent);
          expectNoDeadPort(second, [near]);
        }
      });

      it('is waited for: a port that is only expected is not served', () => {
        const served: string[] = [];
        const { first, second, near, send } = movable(
          () => served.push('first'),
          () => served.push('second'),
        );
        irqDisable(first.vcpu);
        send();
        // Another port of the same word makes the second vCPU look there.
        first.vcpu.hypercall.evtchn.send(second.bindIpi(() => served.push('neighbour')));
        irqEnable(second.vcpu);
        expect(served).to.deep.equal(['neighbour']);
        irqEnable(first.vcpu);
        expect(served).to.deep.equal(['neighbour', 'first']);
        expect(second.isPending(near)).to.equal(false);
      });

      it('takes along an event noted on the old vCPU', () => {
        const served: string[] = [];
        const { first, second, near, send } = movable(
          () => served.push('first'),
          () => served.push('second'),
        );
        irqDisable(first.vcpu);
        send();
        first.rebind(near, 1);
        irqEnable(first.vcpu);
        irqEnable(second.vcpu);
        expect(served).to.deep.equal(['second']);
      });

      it('leaves a masked port masked', () => {
        let runs = 0;
        const { first, second, near, send } = movable(
          () => runs++,
          () => runs++,
        );
        first.mask(near);
        send();
        first.rebind(near, 1);
        irqEnable(second.vcpu);
        expect(runs).to.equal(0);
        first.unmask(near);
        irqEnable(second.vcpu);
        expect(runs).to.equal(1);
      });

      it('changes nothing when the port cannot move', () => {
        const { first, second } = twoVcpus(eventAbi);
        let runs = 0;
        const port = first.bindIpi(() => runs++);
        expect(() => first.rebind(port, 1)).to.throw('EINVAL');
        second.vcpu.hypercall.evtchn.send(port);
        irqEnable(first.vcpu);
        expect(runs).to.equal(1);
      });
    });

    it('says how much memory it takes when there is too little', () => {
      const machine = new GuestMachine({ vcpus: 4, frames: 4, words: { table: new Array(64).fill(0) } });
      expect(() => new Events(machine.guest(0))).to.throw(RangeError, 'give the domain 5 frames');
      expect(() => new Events(new GuestMachine({ vcpus: 4, frames: 5 }).guest(0))).to.not.throw();
    });
  });
}
