/** Fails in every schedule. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'always-fails',
  vcpus: 2,
  words: { total: 0 },
  guest: (vcpu) => vcpu.words.total.add(1),
  check() {
    throw new Error('no');
  },
});
