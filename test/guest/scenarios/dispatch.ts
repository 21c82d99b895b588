/**
 * Work is announced on two ports that lie in different words, and, unless `again` is false, on one of them once more: all of it is
 * found.
 */

import { DOMID_SELF } from '../../../lib/abi';
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, haltUntil } from '../../../lib/guest';

/** Ports 1 to 30 are taken, so the guest gets 31, the last of its word, and 32, the first of the next. */
const TAKEN = 30;

export default defineScenario({
  name: 'dispatch',
  abi: 'x86_32',
  vcpus: 2,
  words: { ready: 0, work: [0, 0], done: 0 },
  args: { again: true },
  setup({ domain }) {
    for (let i = 0; i < TAKEN; i++) domain.hypercall.evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
  },
  guest(vcpu) {
    const { ready, done } = vcpu.words;
    const [low, high] = vcpu.words.work;
    const { again } = vcpu.domain.args;
    if (vcpu.id === 1) {
      while (ready.load() === 0) vcpu.relax();
      low.add(1);
      vcpu.hypercall.evtchn.send(TAKEN + 1);
      high.add(1);
      vcpu.hypercall.evtchn.send(TAKEN + 2);
      if (again) {
        low.add(1);
        vcpu.hypercall.evtchn.send(TAKEN + 1);
      }
      return;
    }
    const events = new Events(vcpu);
    for (const work of [low, high]) events.bindIpi(() => done.write(done.read() + work.exchange(0)));
    ready.store(1);
    haltUntil(vcpu, () => done.read() === (again ? 3 : 2));
  },
});
