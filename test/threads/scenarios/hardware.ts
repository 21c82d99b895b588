/** A device raises a PIRQ five times, waiting for its EOI each time; another one sleeps for ever, or fails. */
import { defineScenario } from 'upcall';
import { Events, haltUntil } from 'upcall/guest';

const PIRQ = 9;
const TIMES = 5;

export default defineScenario({
  name: 'hardware',
  pirqs: [PIRQ],
  words: { ready: 0 },
  args: { fails: false },
  devices: {
    nic(device) {
      while (device.domain.words.ready.load() === 0) device.sleep(100_000);
      for (let i = 0; i < TIMES; i++) {
        device.log('raise', i);
        device.raisePirq(PIRQ);
        while (device.pirqInService(PIRQ)) device.sleep(100_000);
      }
    },
    idler(device) {
      if (device.args.fails) throw new Error('smoke');
      for (;;) device.sleep(1e12);
    },
  },
  guest(vcpu) {
    const events = new Events(vcpu);
    let interrupts = 0;
    events.bindPirq(PIRQ, () => {
      interrupts++;
      vcpu.hypercall.physdev.eoi(PIRQ);
    });
    vcpu.words.ready.store(1);
    haltUntil(vcpu, () => interrupts >= TIMES && !vcpu.domain.args.fails);
    return interrupts;
  },
});
