/** Two vCPUs of ten accesses each, to two words that both change. */
import { defineScenario } from 'upcall';

const ROUNDS = 5;

export default defineScenario({
  name: 'bench-stress',
  vcpus: 2,
  words: { one: 0, two: 0 },
  guest({ words: { one, two } }) {
    for (let round = 0; round < ROUNDS; round++) {
      one.add(1);
      two.add(1);
    }
  },
  check({ words: { one, two } }) {
    if (one.read() !== 2 * ROUNDS || two.read() !== 2 * ROUNDS) throw new Error('an access was lost');
  },
});
