/** An event is queued, and its vCPU sleeps as if it were not: it has wiped out the upcall. */
import { defineScenario } from 'upcall';
import { Events } from 'upcall/guest';

export default defineScenario({
  name: 'fifo-lost-event',
  events: 'fifo',
  guest(vcpu) {
    const port = new Events(vcpu).bindIpi(() => {});
    vcpu.hypercall.evtchn.send(port);
    vcpu.info.evtchn_upcall_pending.write(0);
    vcpu.block();
  },
});
