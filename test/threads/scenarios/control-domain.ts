/** A control domain learns by VIRQ_DOM_EXC that another domain has crashed. */
import { defineScenario } from 'upcall';
import { EVTCHNSTAT_interdomain, SHUTDOWN, VIRQ_DOM_EXC } from 'upcall/abi';
import { Events, haltUntil } from 'upcall/guest';

export default defineScenario({
  name: 'control-domain',
  domains: {
    control: {
      privileged: true,
      words: { listening: 0 },
      guest(vcpu) {
        let told = 0;
        new Events(vcpu).bindVirq(VIRQ_DOM_EXC, () => {
          told++;
        });
        // The other domain has waited for this: it polls its own port until it is told that somebody listens.
        vcpu.hypercall.evtchn.bindInterdomain(vcpu.domain.domains.other!, 1);
        haltUntil(vcpu, () => told > 0);
        return told;
      },
    },
    other: {
      guest(vcpu) {
        // Bound by the toolstack for the control domain; its connecting raises nothing here, so look at the state.
        while (vcpu.hypercall.evtchn.status(vcpu.domain.id, 1).status !== EVTCHNSTAT_interdomain)
          vcpu.hypercall.sched.yield();
        vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_crash);
      },
    },
  },
  setup({ domains }) {
    const port = domains.other!.hypercall.evtchn.allocUnbound(domains.other!.id, domains.control!.id);
    if (port !== 1) throw new Error(`the first port is ${port}`);
  },
});
