/** vCPUs meet, then add to a word with a plain load and store each, over and over: on threads an addition is lost soon. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'colliding',
  vcpus: 2,
  words: { ready: 0, total: 0 },
  args: { rounds: 8 },
  guest(vcpu) {
    const { ready, total } = vcpu.words;
    ready.add(1);
    while (ready.load() < vcpu.domain.vcpus) vcpu.relax();
    for (let round = 0; round < vcpu.domain.args.rounds; round++) total.write(total.read() + 1);
  },
  check({ words, domain, args }) {
    if (words.total.read() !== domain.vcpus * args.rounds) throw new Error(`total is ${words.total.read()}`);
  },
});
