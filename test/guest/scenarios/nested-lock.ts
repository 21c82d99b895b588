/**
 * A handler takes a paravirtual lock the slow way while the code it interrupts waits for another: neither waiter may
 * sleep through its turn.
 */
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, irqEnable, PvSpinlock } from '../../../lib/guest';

export default defineScenario({
  name: 'nested-lock',
  vcpus: 2,
  words: { outer: 0, inner: 0, port: 0, ready: 0 },
  guest(vcpu) {
    const { port, ready } = vcpu.words;
    const outer = new PvSpinlock(vcpu, vcpu.words.outer, 0);
    const inner = new PvSpinlock(vcpu, vcpu.words.inner, 0);
    if (vcpu.id === 0) {
      outer.lock();
      inner.lock();
      while (ready.load() === 0) vcpu.relax();
      vcpu.hypercall.evtchn.send(port.load());
      outer.unlock();
      inner.unlock();
      return;
    }
    const events = new Events(vcpu);
    port.store(
      events.bindIpi(() => {
        inner.lock();
        inner.unlock();
      }),
    );
    irqEnable(vcpu);
    ready.store(1);
    outer.lock();
    outer.unlock();
  },
});
