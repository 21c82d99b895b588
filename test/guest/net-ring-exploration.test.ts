/** A network ring between two sides that sleep whenever they may, in every interleaving. */
import path from 'node:path';
import { expect } from 'chai';
import { type ExploreOptions, explore } from '../../lib';

const LONG = process.env.UPCALL_LONG === '1';
const SCENARIO = path.join(__dirname, 'scenarios/net-ring.ts');

const proofs: readonly [requests: number, options: ExploreOptions, long: boolean][] = [
  [1, {}, false],
  [1, { memoryModel: 'tso' }, false],
  [2, { hypercalls: 'atomic' }, true],
];

describe('the ring of a network front end under exploration', () => {
  for (const [requests, options, long] of proofs) {
    if (long && !LONG) continue;
    const { memoryModel = 'sc', hypercalls = 'fine' } = options;
    it(`${requests} request(s): no event that is needed is left out, ${memoryModel}, hypercalls ${hypercalls}`, async () => {
      const args = { requests };
      const report = await explore(SCENARIO, { ...options, args, strategy: 'dpor', maxExecutions: 2_000_000 });
      report.assertHeld();
      expect(report.complete).to.equal(true);
    });
  }
});
