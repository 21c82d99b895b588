/** What one vCPU can tell of its thread and its random numbers; a word for set-up and check to look at. */
import { threadId } from 'node:worker_threads';
import { defineScenario } from 'upcall';

let evaluations = 0;

export const other = defineScenario({ name: 'other', guest: () => 'the other' });

export default defineScenario({
  name: 'facts',
  vcpus: 2,
  words: { sum: 5 },
  args: { fail: '' },
  setup({ domain, args }) {
    if (args.fail === 'setup') throw new Error('set-up failed');
    domain.words.sum.add(100);
  },
  guest(vcpu) {
    evaluations++;
    vcpu.words.sum.add(1);
    return {
      threadId,
      evaluations,
      random: [vcpu.random(), vcpu.choose(1000)],
      args: vcpu.domain.args,
      frozen: Object.isFrozen(vcpu.domain.args),
    };
  },
  check({ words, results, args }) {
    if (args.fail === 'check') throw new Error('check failed');
    if (words.sum.read() !== 105 + results.length) throw new Error(`sum is ${words.sum.read()}`);
  },
});
