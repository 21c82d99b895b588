/** A vCPU that sends itself events and handles each, as fast as it goes: so many, or until the run is aborted. */
import { defineScenario } from 'upcall';
import { Events, irqEnable } from 'upcall/guest';

export default defineScenario({
  name: 'bench-watched',
  args: { events: Number.POSITIVE_INFINITY },
  guest(vcpu) {
    const { events } = vcpu.domain.args;
    let handled = 0;
    const port = new Events(vcpu).bindIpi(() => {
      handled++;
    });
    irqEnable(vcpu);
    const start = vcpu.now();
    for (let sent = 0; sent < events; sent++) vcpu.hypercall.evtchn.send(port);
    return { handled, ns: vcpu.now() - start };
  },
});
