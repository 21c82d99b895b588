/** A control domain sleeps until VIRQ_DOM_EXC tells it that another domain has shut down. */
import { defineScenario } from 'upcall';
import { SHUTDOWN, VIRQ_DOM_EXC } from 'upcall/abi';

/** The first a domain binds. */
const PORT = 1;

export default defineScenario({
  name: 'control-domain',
  domains: {
    control: {
      privileged: true,
      guest(vcpu) {
        vcpu.hypercall.sched.poll([PORT]);
        return vcpu.sharedInfo.evtchn_pending.word(0).load() >>> PORT;
      },
    },
    other: {
      guest(vcpu) {
        vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_poweroff);
      },
    },
  },
  setup({ domains }) {
    domains.control!.hypercall.evtchn.bindVirq(VIRQ_DOM_EXC, 0);
  },
});
