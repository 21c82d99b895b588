/**
 * XSA-332: another domain sends without end. The receiver keeps the port masked until it has served what came (late EOI), so
 * that each upcall takes a bounded number of steps whatever the sender does; and the last event is not lost.
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { bootPorts, Events, haltUntil } from 'upcall/guest';

const PORT = 1;
/** Of the sender's last event. */
const LAST = 2;

export default defineScenario({
  name: 'storm',
  args: { sends: 3 },
  invariants: [{ name: 'bounded-steps', upcall: 200, hypercall: 250 }, 'no-dead-upcall', 'no-sleeper-with-work'],
  domains: {
    victim: {
      guest(vcpu) {
        const events = new Events(vcpu);
        let arrived = false;
        let over = false;
        let runs = 0;
        events.bindEvtchn(PORT, () => {
          vcpu.assert(!arrived, 'the port is masked, and its handler runs again');
          events.mask(PORT);
          arrived = true;
          runs++;
        });
        events.bindEvtchn(LAST, () => {
          over = true;
        });
        // What is pending when the last event has come is delivered too.
        const idle = () => over && !events.isPending(PORT);
        for (;;) {
          haltUntil(vcpu, () => arrived || idle());
          if (!arrived) break;
          arrived = false;
          events.unmask(PORT);
        }
        return runs > 0;
      },
    },
    sender: {
      guest(vcpu) {
        for (let i = 0; i < vcpu.domain.args.sends; i++) vcpu.hypercall.evtchn.send(PORT);
        vcpu.hypercall.evtchn.send(LAST);
      },
    },
  },
  setup({ domains }) {
    const { sender, victim } = domains;
    // An event that comes while a domain switches to the FIFO ABI may be lost, as under Xen: both have done so before.
    for (const domain of [sender!, victim!]) bootPorts(domain);
    for (const expected of [PORT, LAST]) {
      const port = victim!.hypercall.evtchn.allocUnbound(DOMID_SELF, sender!.id);
      const far = sender!.hypercall.evtchn.bindInterdomain(victim!.id, port);
      if (port !== expected || far !== expected) throw new Error(`the ports are ${port} and ${far}`);
    }
  },
  check({ resultsOf }) {
    if (resultsOf.victim?.[0] !== true) throw new Error('no event of the storm was served');
  },
});
