/** vCPUs add to a word: one with a plain load and store each, unless `atomic`. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'lost-update',
  vcpus: 2,
  words: { total: 0 },
  args: { atomic: false },
  covers: ['first', 'second', 'third'],
  guest(vcpu) {
    const { total } = vcpu.words;
    if (vcpu.domain.args.atomic) return total.add(1);
    const seen = total.read();
    vcpu.cover(seen === 0 ? 'first' : 'second');
    total.write(seen + 1);
    return seen;
  },
  check({ words, domain }) {
    const sum = words.total.read();
    if (sum !== domain.vcpus) throw new Error(`total is ${sum}`);
  },
});
