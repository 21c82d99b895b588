import { expect } from 'chai';
import { defineScenario } from '../../lib/engine/scenario';
import type { ExploreProgress } from '../../lib/explore/options';
import { explore } from '../../lib/report/explore-result';

const adders = defineScenario({
  name: 'adders',
  vcpus: 3,
  words: { a: 0 },
  guest(vcpu) {
    vcpu.words.a.add(vcpu.choose(2));
    vcpu.words.a.add(1);
  },
});

describe('the progress of an exploration', () => {
  it('of dfs tells which part of the tree is behind, growing to all of it', async () => {
    const seen: ExploreProgress[] = [];
    const options = {
      strategy: 'dfs',
      maxExecutions: 60_000,
      onProgress: (each: ExploreProgress) => void seen.push(each),
    } as const;
    await explore(adders, options);
    const parts = seen.map(({ explored }) => explored ?? Number.NaN);
    expect(parts).not.to.have.length(0);
    for (const [index, part] of parts.entries()) expect(part).to.be.within(parts[index - 1] ?? 0, 1);
  });

  it('of strategies that sample does not pretend to know', async () => {
    const seen: ExploreProgress[] = [];
    await explore(adders, { strategy: 'pct', maxExecutions: 10, onProgress: (each) => void seen.push(each) });
    expect(seen[0]).not.to.have.property('explored');
    expect(seen[0]?.outcomes).to.equal(1);
  });
});
