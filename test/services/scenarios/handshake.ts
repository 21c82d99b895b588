/** A listener advertises its port in the store; a caller finds it there, connects, knocks, and is answered. */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { Events, haltUntil, Xenstore } from 'upcall/guest';

export default defineScenario({
  name: 'handshake',
  args: { abi: 'x86_64' },
  xenstore: true,
  domains: {
    listener: {
      guest(vcpu) {
        const events = new Events(vcpu);
        const store = new Xenstore(events);
        const { caller } = vcpu.domain.domains;
        let knocks = 0;
        const port = vcpu.hypercall.evtchn.allocUnbound(DOMID_SELF, caller!);
        events.bindEvtchn(port, () => {
          knocks++;
        });
        store.write('data/port', port);
        store.setPermissions('data/port', [`n${vcpu.domain.id}`, `r${caller}`]);
        haltUntil(vcpu, () => knocks > 0);
        vcpu.hypercall.evtchn.send(port);
        return knocks;
      },
    },
    caller: {
      guest(vcpu) {
        const events = new Events(vcpu);
        const store = new Xenstore(events);
        const { listener } = vcpu.domain.domains;
        let answers = 0;
        const watch = store.watch(`/local/domain/${listener}/data/port`);
        let text: string | undefined;
        for (;;) {
          try {
            text = store.read(watch.path);
            break;
          } catch (error) {
            if ((error as { code?: string }).code !== 'EACCES') throw error;
            store.nextEvent();
          }
        }
        const port = events.bindInterdomain(listener!, Number(text), () => {
          answers++;
        });
        haltUntil(vcpu, () => answers > 0);
        answers = 0;
        vcpu.hypercall.evtchn.send(port);
        haltUntil(vcpu, () => answers > 0);
        return answers;
      },
    },
  },
});
