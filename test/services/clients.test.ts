/** Clients of a store that runs on its own vCPU: hostile ones, several vCPUs in one, and many at once. */
import path from 'node:path';
import { expect } from 'chai';
import { explore, run, shutdownPool, stress } from '../../lib';
import { runOnce } from '../../lib/explore/run-once';
import type { Recorded } from './scenarios/counting';
import { isLinearizable } from './support/linearizable';

const LONG = process.env.UPCALL_LONG === '1';
const scenario = (name: string): string => path.join(__dirname, 'scenarios', `${name}.ts`);
const HOSTILE = scenario('hostile');
const SHARING = scenario('sharing');
const COUNTING = scenario('counting');

describe('a client of xenstore', () => {
  after(shutdownPool);

  for (const [offence, error] of [
    ['long payload', 3],
    ['request index far ahead', 2],
    ['request index behind', 2],
    ['answer index ahead', 2],
    ['everything overwritten', 2],
  ] as const) {
    it(`that breaks the protocol (${offence}) is cut off, and nobody else`, async () => {
      const args = { offence, error };
      for (const result of [await run(HOSTILE, { args }), await runOnce(HOSTILE, { args, engine: 'inline' })]) {
        expect(result.failure).to.equal(null);
        const results = result.domains.map(({ vcpus }) => vcpus[0]?.result);
        expect(results).to.deep.equal(['kept', 10, undefined]);
      }
      const explored = await explore(HOSTILE, { args, strategy: 'pct', seed: 1, maxExecutions: 5 });
      expect(explored.failure).to.equal(null);
    });
  }

  it('may have several vCPUs: long values come back whole, events reach whoever has set the watch', async () => {
    for (const result of [await run(SHARING), await runOnce(SHARING, { engine: 'inline' })]) {
      expect(result.failure).to.equal(null);
      const heard = result.domains[0]?.vcpus.map((vcpu) => vcpu.result as number);
      for (const events of heard ?? []) expect(events).to.be.within(2, 4);
    }
    const stressed = await stress(SHARING, { iterations: LONG ? 2000 : 25, seed: 1, chaos: true });
    expect(stressed.failures).to.deep.equal([]);
    const args = { rounds: 1, bytes: 10 };
    const explored = await explore(SHARING, { args, strategy: 'pct', seed: 1, maxExecutions: 20, maxSteps: 100_000 });
    expect(explored.failure).to.equal(null);
  });

  describe('sees what all see, in one order', () => {
    it('under stress', async () => {
      const args = { operations: 5, node: '/tool/n', clock: 0x4000 };
      const result = await stress(COUNTING, { iterations: LONG ? 3000 : 60, seed: 1, chaos: true, args });
      expect(result.failures).to.deep.equal([]);
    });

    // Random schedules switch at every step: each costs a hundred of the other.
    for (const [strategy, most] of [
      ['pct', 60],
      ['random', 3],
    ] as const) {
      it(`on schedules of ${strategy}`, async () => {
        const maxExecutions = LONG ? most * 50 : most;
        const result = await explore(COUNTING, { strategy, seed: 1, maxExecutions, maxSteps: 100_000 });
        expect(result.failure).to.equal(null);
        expect(result.outcomes.length).to.be.above(maxExecutions / 2);
      });
    }

    it('and the check finds histories that have no such order', () => {
      const lost: Recorded[] = [
        ['add', 'none', 0, 3],
        ['add', 'none', 1, 2],
      ];
      expect(isLinearizable(lost), 'an addition was lost').to.equal(false);
      const stale: Recorded[] = [
        ['write', 'a', 0, 1],
        ['read', 'none', 2, 3],
      ];
      expect(isLinearizable(stale), 'a write that was over is not seen').to.equal(false);
      const during: Recorded[] = [
        ['write', 'a', 0, 3],
        ['read', 'none', 1, 2],
      ];
      expect(isLinearizable(during), 'it may come before the write').to.equal(true);
    });
  });
});
