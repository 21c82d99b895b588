import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { replay } from '../../lib/explore/replay';
import { explore } from '../../lib/report/explore-result';

const folder = path.join(__dirname, '../../examples/races');

/** Races that only store buffers bring about. */
const TSO_ONLY = new Set(['r03', 'r06', 'r15', 'r46']);
/** Depth of pct: races that need more than two preemptions here take more. */
const PCT_DEPTH: Readonly<Record<string, number>> = { r23: 5, r29: 5 };

const files = readdirSync(folder).filter((file) => /^r\d+.*\.ts$/.test(file));

describe('Gallery of races', () => {
  for (const file of files) {
    const id = file.slice(0, 3);
    const scenario = path.join(folder, file);
    describe(file.replace(/\.ts$/, ''), () => {
      for (const memoryModel of ['sc', 'tso'] as const) {
        if (memoryModel === 'sc' && TSO_ONLY.has(id)) {
          it('holds under sc even with the mistake', async () => {
            const result = await explore(scenario, { memoryModel });
            result.assertHeld();
            expect(result.complete).to.equal(true);
          });
        } else {
          it(`is found by dpor under ${memoryModel}, and its schedule replays`, async () => {
            const { failure } = await explore(scenario, { memoryModel, maxExecutions: 2_000 });
            expect(failure).to.not.equal(null);
            const replayed = await replay(scenario, failure?.token as string);
            expect(replayed.followed).to.equal(true);
            expect(replayed.failure?.kind).to.equal(failure?.kind);
            expect(replayed.failure?.message).to.equal(failure?.message);
          });
        }

        it(`is proven gone from the fixed variant under ${memoryModel}`, async () => {
          const result = await explore(scenario, { memoryModel, args: { variant: 'fixed' } });
          result.assertHeld();
          expect(result.blocked).to.equal(0);
          expect(result.complete).to.equal(true);
        });
      }

      for (const strategy of ['random', 'pct', 'pos'] as const) {
        it(`is found by ${strategy}, seed 1, within 20,000 executions`, async () => {
          const memoryModel = TSO_ONLY.has(id) ? 'tso' : 'sc';
          const depth = PCT_DEPTH[id] ?? 3;
          const { failure } = await explore(scenario, { strategy, memoryModel, depth, seed: 1, maxExecutions: 20_000 });
          expect(failure).to.not.equal(null);
        });
      }
    });
  }
});
