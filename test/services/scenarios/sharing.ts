/** The vCPUs of one domain share its connection: long values, many watches, each event to the vCPU that has set the watch. */
import { defineScenario } from 'upcall';
import { Completion, Events, Xenstore } from 'upcall/guest';

export default defineScenario({
  name: 'sharing',
  vcpus: 3,
  args: { rounds: 3, bytes: 1500 },
  words: { done: 0, open: 0 },
  xenstore: true,
  guest(vcpu) {
    const { done, open } = vcpu.words;
    const { rounds, bytes } = vcpu.domain.args;
    const events = new Events(vcpu);
    const opened = new Completion(events, open);
    const finished = new Completion(events, done);
    // The first to come serves the port: vCPU 0, for the others wait for it.
    if (vcpu.id > 0) opened.wait();
    const store = new Xenstore(events);
    if (vcpu.id === 0) opened.completeAll();
    let heard = 0;
    store.watch(`data/${vcpu.id}`, () => {
      heard++;
    });
    for (let round = 1; round <= rounds; round++) {
      const value = String.fromCharCode(64 + round).repeat(bytes + vcpu.id);
      store.write(`data/${vcpu.id}`, value);
      vcpu.assert(store.read(`data/${vcpu.id}`) === value, 'a long value comes back whole');
      store.dispatch();
    }
    // The first event, and one for the last change at least: two of the others may have come as one.
    while (heard < 2) store.nextEvent();
    // The first vCPU serves the port: it stays until the others are done.
    if (vcpu.id > 0) finished.complete();
    else for (let other = 1; other < vcpu.domain.vcpus; other++) finished.wait();
    return heard;
  },
});
