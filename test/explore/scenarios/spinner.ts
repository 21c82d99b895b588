/** vCPU 1 waits for vCPU 0 in a spin loop; then both add to a word in two steps. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'spinner',
  vcpus: 2,
  words: { ready: 0, sum: 0 },
  guest(vcpu) {
    const { ready, sum } = vcpu.words;
    if (vcpu.id === 0) ready.store(1);
    else while (ready.load() === 0) vcpu.relax();
    sum.store(sum.load() + 1);
  },
  check({ words }) {
    if (words.sum.load() !== 2) throw new Error(`the sum is ${words.sum.load()}`);
  },
});
