/** Two vCPUs take turns, so a schedule has many switches and a long token; the check never holds. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'turns',
  vcpus: 2,
  words: { turn: 0 },
  args: { rounds: 70 },
  guest(vcpu) {
    const { turn } = vcpu.words;
    for (let mine = vcpu.id; mine < vcpu.domain.args.rounds * 2; mine += 2) {
      while (turn.load() !== mine) vcpu.relax();
      turn.store(mine + 1);
    }
  },
  check() {
    throw new Error('the turns are over');
  },
});
