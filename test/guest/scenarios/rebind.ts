/** vCPU 0 moves a port with an event on it to vCPU 1, which is taking upcalls: one of them serves it, once. */

import { DOMID_SELF } from '../../../lib/abi';
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, irqDisable, irqEnable } from '../../../lib/guest';

export default defineScenario({
  name: 'rebind',
  vcpus: 2,
  words: { near: 0, far: 0, expected: 0, served: 0 },
  setup({ domain }) {
    const { evtchn } = domain.hypercall;
    const far = evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
    const near = evtchn.bindInterdomain(DOMID_SELF, far);
    domain.words.far.write(far);
    domain.words.near.write(near);
  },
  guest(vcpu) {
    const { near, far, expected, served } = vcpu.words;
    const events = new Events(vcpu);
    const port = near.read();
    if (vcpu.id === 0) {
      events.take(port);
      events.bindEvtchn(port, () => served.add(1));
      while (expected.load() === 0) vcpu.relax();
      // Noted on this vCPU and not served there: upcalls are disabled.
      irqDisable(vcpu);
      vcpu.hypercall.evtchn.send(far.read());
      events.rebind(port, 1);
      irqEnable(vcpu);
    } else {
      events.expect(port, () => served.add(1));
      irqEnable(vcpu);
      expected.store(1);
    }
    while (served.load() === 0) vcpu.relax();
  },
  check({ words }) {
    if (words.served.read() !== 1) throw new Error(`served ${words.served.read()} times`);
  },
});
