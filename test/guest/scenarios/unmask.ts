/** A vCPU masks its port, unmasks it and waits for the event that the other sends at any time. */
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, haltUntil, irqEnable } from '../../../lib/guest';

export default defineScenario({
  name: 'unmask',
  vcpus: 2,
  words: { port: 0, runs: 0 },
  guest(vcpu) {
    const { port, runs } = vcpu.words;
    if (vcpu.id === 1) {
      while (port.load() === 0) vcpu.relax();
      vcpu.hypercall.evtchn.send(port.load());
      return;
    }
    const events = new Events(vcpu);
    const mine = events.bindIpi(() => runs.write(runs.read() + 1));
    irqEnable(vcpu);
    port.store(mine);
    events.mask(mine);
    events.unmask(mine);
    haltUntil(vcpu, () => runs.read() === 1);
  },
});
