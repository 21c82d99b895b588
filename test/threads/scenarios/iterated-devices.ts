/** Two devices, one of which sleeps for ever, and a guest that waits for the other and for its timer. */
import { defineScenario } from 'upcall';
import { Events, haltUntil } from 'upcall/guest';

const PIRQ = 9;

export default defineScenario({
  name: 'iterated-devices',
  pirqs: [PIRQ],
  words: { ready: 0, raised: 0 },
  devices: {
    nic(device) {
      while (device.domain.words.ready.load() === 0) device.sleep(10_000);
      device.domain.words.raised.add(1);
      device.raisePirq(PIRQ);
    },
    idler(device) {
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
    haltUntil(vcpu, () => interrupts === 1);
    const port = events.bindIpi(() => {});
    const pollUntilNs = vcpu.now() + 100_000;
    vcpu.hypercall.sched.poll([port], pollUntilNs);
    vcpu.assert(vcpu.now() >= pollUntilNs, 'the timer came early');
    return interrupts;
  },
  check({ words }) {
    if (words.raised.read() !== 1) throw new Error(`raised ${words.raised.read()} times`);
  },
});
