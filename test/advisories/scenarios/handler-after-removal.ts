/**
 * XSA-331, XSA-441: a port is removed while events for it arrive, and its number is given out again. No handler runs once its
 * port was removed, the new owner's handler runs for the new owner's events, and nobody waits for anybody.
 */
import { defineScenario } from 'upcall';
import { Events, haltUntil } from 'upcall/guest';
import { attempt } from './attempt';

export default defineScenario({
  name: 'handler-after-removal',
  words: { port: 0, again: 0 },
  args: { sends: 2 },
  invariants: ['no-dead-port', 'no-dead-upcall', 'no-sleeper-with-work'],
  guests: [
    (vcpu) => {
      const { again, port } = vcpu.words;
      const events = new Events(vcpu);
      let alive = true;
      let served = 0;
      const old = events.bindIpi(() => {
        vcpu.assert(alive, 'the handler runs after its port was removed');
        served++;
      });
      port.store(old);
      haltUntil(vcpu, () => served > 0);
      events.unbind(old);
      alive = false;
      let renewed = 0;
      const reused = events.bindIpi(() => {
        renewed++;
      });
      again.store(reused);
      haltUntil(vcpu, () => renewed > 0);
      return reused === old;
    },
    (vcpu) => {
      const { again, port } = vcpu.words;
      while (port.load() === 0) vcpu.relax();
      vcpu.hypercall.evtchn.send(port.load());
      // The port may be gone by now, or be another's already.
      for (let i = 1; i < vcpu.domain.args.sends; i++) attempt(() => vcpu.hypercall.evtchn.send(port.load()));
      while (again.load() === 0) vcpu.relax();
      vcpu.hypercall.evtchn.send(again.load());
    },
  ],
});
