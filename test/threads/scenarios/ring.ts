/** A token goes round all vCPUs by IPI, `args.rounds` times. Each returns how often it had the token. */
import { defineScenario } from 'upcall';
import { Events, haltUntil } from 'upcall/guest';

export default defineScenario({
  name: 'ring',
  vcpus: 4,
  frames: 128,
  words: { ports: new Array(128).fill(0), ready: 0, thread: 0 },
  args: { rounds: 25 },
  guest(vcpu) {
    const { rounds } = vcpu.domain.args;
    const { ports, ready } = vcpu.words;
    const events = new Events(vcpu);
    let had = 0;
    const next = () => ports[(vcpu.id + 1) % vcpu.domain.vcpus]!.load();
    const port = events.bindIpi(() => {
      had++;
      if (vcpu.id !== 0 || had < rounds) vcpu.hypercall.evtchn.send(next());
    });
    ports[vcpu.id]!.store(port);
    ready.add(1);
    while (ready.load() < vcpu.domain.vcpus) vcpu.relax();
    if (vcpu.id === 0) vcpu.hypercall.evtchn.send(next());
    haltUntil(vcpu, () => had >= rounds);
    return had;
  },
});
