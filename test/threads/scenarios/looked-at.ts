/** vCPU 0 raises 500 events at vCPU 1, one at a time, and returns; vCPU 1 sleeps, vCPU 2 polls, until the run is aborted. */
import { defineScenario } from 'upcall';
import { Events, haltUntil, irqEnable } from 'upcall/guest';

const EVENTS = 500;

export default defineScenario({
  name: 'looked-at',
  vcpus: 3,
  words: { port: 0, got: 0, bound: 0 },
  devices: {
    // While there is one, those that sleep are not taken to sleep for good.
    idle(device) {
      for (;;) device.sleep(10_000_000);
    },
  },
  guest(vcpu) {
    const { port, got, bound } = vcpu.words;
    if (vcpu.id === 0) {
      while (port.load() === 0) vcpu.relax();
      for (let sent = 0; sent < EVENTS; sent++) {
        vcpu.hypercall.evtchn.send(port.load());
        while (got.load() === sent) vcpu.relax();
      }
      return;
    }
    if (vcpu.id === 1) {
      const events = new Events(vcpu);
      const ipi = events.bindIpi(() => {
        got.add(1);
      });
      irqEnable(vcpu);
      port.store(ipi);
      bound.store(1);
      haltUntil(vcpu, () => false);
      return;
    }
    while (bound.load() === 0) vcpu.relax();
    vcpu.hypercall.evtchn.allocUnbound(vcpu.domain.id, 7);
    const own = vcpu.hypercall.evtchn.bindIpi(2);
    for (;;) vcpu.hypercall.sched.poll([own]);
  },
});
