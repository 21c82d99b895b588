import { expect } from 'chai';
import { OpCache } from '../../lib/engine/inline/op-cache';

/** Looks results up below the root of one actor; every `period`-th is known. */
function lookUp(cache: OpCache, times: number, period: number): void {
  const root = cache.root(0);
  cache.addChild(root, 0);
  for (let time = 1; time <= times; time++) cache.child(root, time % period === 0 ? 0 : time);
}

describe('OpCache', () => {
  for (const period of [6, 7, 10, 1000]) {
    it(`gives itself up when one history in ${period} repeats`, () => {
      const cache = new OpCache(1);
      lookUp(cache, 25_000, period);
      expect(cache.enabled).to.equal(false);
    });
  }

  it('stays when one history in four repeats, unless more is demanded', () => {
    const cache = new OpCache(1);
    lookUp(cache, 100_000, 4);
    expect(cache.enabled).to.equal(true);
    cache.minHitRate = 0.3;
    lookUp(cache, 100_000, 4);
    expect(cache.enabled).to.equal(false);
  });

  it('stays through a part of the search that is new throughout', () => {
    const cache = new OpCache(1);
    lookUp(cache, 100_000, 2);
    lookUp(cache, 50_000, 1000);
    expect(cache.enabled).to.equal(true);
  });

  it('answers what it knows and learns nothing more once it is full', () => {
    const cache = new OpCache(1, 4);
    const first = cache.addChild(cache.root(0), 1);
    cache.learn(first, 15, 1, 0, 0);
    expect(cache.addChild(first, 1)).to.be.above(0);
    expect(cache.addChild(first, 2)).to.equal(0);
    expect(cache.child(cache.root(0), 1)).to.equal(first);
    expect(cache.known(first)).to.equal(true);
  });
});
