import { expect } from 'chai';
import { ABI_NAMES } from '../../lib/abi';
import { Events } from '../../lib/guest/events';
import { haltUntil, irqDisable, irqEnable, irqEnabled, irqRestore, irqSave } from '../../lib/guest/irq';
import { GuestMachine } from '../support/guest-machine';

for (const abi of ABI_NAMES) {
  describe(`upcall mask, ${abi}`, () => {
    function oneVcpu() {
      const machine = new GuestMachine({ abi });
      const vcpu = machine.guest(0);
      const served: number[] = [];
      const port = new Events(vcpu).bindIpi((each) => served.push(each));
      const send = () => machine.hypervisor.evtchn.send(machine.hvVcpu(0), port);
      return { machine, vcpu, served, send };
    }

    it('is set at the start of day', () => {
      const { vcpu, served, send } = oneVcpu();
      expect(irqEnabled(vcpu)).to.equal(false);
      send();
      vcpu.memory.read32(0x3000);
      expect(served).to.have.length(0);
    });

    it('keeps upcalls away, and enabling takes those that came', () => {
      const { vcpu, served, send } = oneVcpu();
      irqEnable(vcpu);
      irqDisable(vcpu);
      send();
      vcpu.memory.read32(0x3000);
      expect(served).to.have.length(0);
      irqEnable(vcpu);
      expect(served, 'without any further access').to.have.length(1);
      expect(irqEnabled(vcpu)).to.equal(true);
    });

    it('is put back by the outermost restore only', () => {
      const { vcpu, served, send } = oneVcpu();
      irqEnable(vcpu);
      const outer = irqSave(vcpu);
      const inner = irqSave(vcpu);
      send();
      irqRestore(vcpu, inner);
      expect(irqEnabled(vcpu)).to.equal(false);
      expect(served).to.have.length(0);
      irqRestore(vcpu, outer);
      expect(irqEnabled(vcpu)).to.equal(true);
      expect(served).to.have.length(1);
    });

    it('of a pair with upcalls disabled stays set', () => {
      const { vcpu } = oneVcpu();
      const flags = irqSave(vcpu);
      irqEnable(vcpu);
      irqRestore(vcpu, flags);
      expect(irqEnabled(vcpu)).to.equal(false);
    });

    it('does not lose an event that comes at any moment before a halt', () => {
      for (let n = 0; n < 12; n++) {
        const { machine, vcpu, served, send } = oneVcpu();
        let sent = false;
        irqEnable(vcpu);
        const sendOnce = () => {
          if (!sent) send();
          sent = true;
        };
        machine.interruptAt(0, n, sendOnce);
        // Should the vCPU fall asleep first, the event comes then; asleep after it, nothing would wake it.
        machine.onSleep = () => {
          if (sent) throw new Error(`asleep after the event before access ${n}`);
          sendOnce();
        };
        haltUntil(vcpu, () => served.length > 0);
        expect(served).to.have.length(1);
        expect(irqEnabled(vcpu)).to.equal(true);
      }
    });

    it('does not lose an event that comes between the look and the sleep', () => {
      const { machine, vcpu, served, send } = oneVcpu();
      irqEnable(vcpu);
      let looks = 0;
      machine.onSleep = () => {
        throw new Error('asleep after the event');
      };
      haltUntil(vcpu, () => {
        const done = served.length > 0;
        if (looks++ === 0) send();
        return done;
      });
      expect(served).to.have.length(1);
    });

    it('is looked at again after each upcall of a halt', () => {
      const { machine, vcpu, served, send } = oneVcpu();
      machine.onSleep = send;
      haltUntil(vcpu, () => served.length === 3);
      expect(served).to.have.length(3);
    });
  });
}
