import { expect } from 'chai';
import type { Strategy } from '../../lib/engine/inline/strategy';
import { DfsStrategy } from '../../lib/explore/dfs';
import { DporStrategy } from '../../lib/explore/dpor';
import { PctStrategy } from '../../lib/explore/pct';
import { PosStrategy } from '../../lib/explore/pos';
import { RandomStrategy } from '../../lib/explore/random';
import { exploreBare } from './support/bare';
import { announced, evtchnModel } from './support/evtchn-model';

function run(
  fixed: boolean,
  strategy: Strategy,
  options: { rounds?: number; sends?: number; memoryModel?: 'sc' | 'tso' },
) {
  return exploreBare(evtchnModel(fixed, options.rounds, options.sends), strategy, {
    memoryModel: options.memoryModel,
    check(memory) {
      if (!announced(memory)) throw new Error('pending, unmasked and announced to nobody');
    },
  });
}

describe('Delivery of an event', () => {
  for (const memoryModel of ['sc', 'tso'] as const) {
    for (const [rounds, sends, expected] of [
      [3, 1, 47],
      [3, 3, 3535],
      [30, 1, 46901],
    ] as const) {
      it(`never loses one: ${sends} sends against ${rounds} rounds, ${expected} executions under ${memoryModel}`, () => {
        const result = run(true, new DporStrategy(), { rounds, sends, memoryModel });
        expect(result.failure).to.equal(null);
        expect(result).to.include({ executions: expected, blocked: 0, complete: true });
      });
    }
  }

  it('is lost by a guest that does not look after unmasking, at the second execution of dpor', () => {
    const result = run(false, new DporStrategy(), {});
    expect(result.failure?.message).to.equal('pending, unmasked and announced to nobody');
    expect(result.executions).to.be.at.most(11);
    expect(run(false, new DfsStrategy(), {}).failure).to.not.equal(null);
  });

  // Medians of the best peer over as many seeds: random 8, pct(2) 13, pct(3) 9.
  for (const [name, limit, make] of [
    ['random', 8, (seed: number) => new RandomStrategy(seed)],
    ['pct(2)', 13, (seed: number) => new PctStrategy(2, seed)],
    ['pct(3)', 9, (seed: number) => new PctStrategy(3, seed)],
    ['pos', 8, (seed: number) => new PosStrategy(seed)],
  ] as const) {
    it(`${name} finds the loss within ${limit} executions in half of 500 seeds`, () => {
      const firsts = Array.from({ length: 500 }, (_, seed) => run(false, make(seed + 1), {}).executions);
      firsts.sort((a, b) => a - b);
      expect(firsts[250]).to.be.at.most(limit);
    });
  }
});
