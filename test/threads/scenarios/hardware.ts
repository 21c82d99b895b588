/**
 * A device raises a PIRQ five times, each time when the last one was handled; another one sleeps for ever, or fails. That it is no more in
 * service does not tell: the hypervisor takes an EOI for given that is missing too long.
 */
import { defineScenario } from 'upcall';
import { Events, haltUntil } from 'upcall/guest';

const PIRQ = 9;
const TIMES = 5;

export default defineScenario({
  name: 'hardware',
  pirqs: [PIRQ],
  words: { ready: 0, handled: 0 },
  args: { fails: false },
  devices: {
    nic(device) {
      while (device.domain.words.ready.load() === 0) device.sleep(100_000);
      for (let i = 0; i < TIMES; i++) {
        device.log('raise', i);
        device.raisePirq(PIRQ);
        while (device.pirqInService(PIRQ) || device.domain.words.handled.load() <= i) device.sleep(100_000);
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
      vcpu.words.handled.store(interrupts);
      vcpu.hypercall.physdev.eoi(PIRQ);
    });
    vcpu.words.ready.store(1);
    haltUntil(vcpu, () => interrupts >= TIMES && !vcpu.domain.args.fails);
    return interrupts;
  },
});
