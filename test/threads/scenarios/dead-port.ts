/** A guest that takes an upcall and leaves the port behind it pending: it ends, or sleeps for an event it has lost. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'dead-port',
  args: { sleeps: false },
  invariants: ['no-dead-port', 'no-dead-upcall'],
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
  },
  guest(vcpu) {
    const { info } = vcpu;
    vcpu.onUpcall(() => {
      info.evtchn_upcall_pending.write(0);
      info.evtchn_pending_sel.lo.exchange(0);
    });
    vcpu.hypercall.evtchn.send(1);
    vcpu.block();
    if (vcpu.domain.args.sleeps) vcpu.block();
  },
});
