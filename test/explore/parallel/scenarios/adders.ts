/** vCPUs add to a word: enough interleavings for several threads. `bug`: a total of three after the first add is taken for wrong. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'adders',
  vcpus: 3,
  words: { total: 0 },
  args: { adds: 3, bug: false, does: '' },
  guest(vcpu) {
    const { adds, bug, does } = vcpu.domain.args;
    let seen = 0;
    for (let add = 0; add < adds; add++) {
      const before = vcpu.words.total.add(1);
      if (bug && add === 1 && vcpu.id === 2) vcpu.assert(before !== 6, 'six before the second');
      if (does !== '' && add === 1 && vcpu.id === 2 && before === 6) misbehave(does);
      seen = (seen * 3 + before) % 7;
    }
    return seen;
  },
});

function misbehave(does: string): void {
  while (does === 'loop');
  if (does === 'exit') process.exit(0);
  if (does === 'wait') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  const kept: number[][] = [];
  while (does === 'eat') kept.push(new Array(1e6).fill(kept.length));
}
