/** Too many interleavings to be searched. Says when it has been loaded. */
import { defineScenario } from 'upcall';

process.stderr.write('loaded\n');

export default defineScenario({
  name: 'endless-search',
  vcpus: 4,
  words: { a: 0 },
  guest(vcpu) {
    for (let i = 0; i < 50; i++) vcpu.words.a.add(1);
  },
});
