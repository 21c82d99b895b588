/** Fails where vCPU 1 comes last, passes where vCPU 0 does: threads show both within a few iterations. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'last-to-finish',
  vcpus: 2,
  words: { ready: 0, last: 0 },
  guest(vcpu) {
    const { ready, last } = vcpu.words;
    ready.add(1);
    while (ready.load() < vcpu.domain.vcpus) vcpu.relax();
    last.store(vcpu.id);
  },
  check({ words }) {
    if (words.last.read() === 1) throw new Error('vCPU 1 came last');
  },
});
