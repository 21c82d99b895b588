/**
 * The gallery of races: every strategy finds the faulty form within a stated number of executions, exploration proves
 * the cured form, and whatever was found replays.
 */
import { expect } from 'chai';
import { type ExploreOptions, type ExploreResult, explore, replay } from '../../lib';
import type { RaceRow } from './row';
import { TABLE_A } from './table-a';
import { ALSO_HOLD, TABLE_B } from './table-b';

const ROWS: readonly RaceRow[] = [...TABLE_A, ...TABLE_B];
const CURED = [...new Set(ROWS.map(({ file }) => file))].map((file) => ({ file, variant: 'fixed' }));
const MODELS = ['sc', 'tso'] as const;
const STRATEGIES = ['random', 'pct', 'pos', 'dfs', 'dpor'] as const;

function pathOf(file: string): string {
  return `examples/races/${file}.ts`;
}

function faulty({ file, variant = 'buggy', seed = 1 }: RaceRow, options: ExploreOptions): Promise<ExploreResult> {
  return explore(pathOf(file), { seed, args: { variant }, ...options });
}

/** The failure is the row's, and its token leads to it again. */
async function expectFailure(row: RaceRow, { failure, strategy, executions }: ExploreResult): Promise<void> {
  expect(failure?.kind, `${strategy}, ${executions} executions`).to.equal(row.kind);
  const args = { variant: row.variant ?? 'buggy' };
  const again = await replay(pathOf(row.file), failure!.token, { args });
  expect(again.followed, 'the token can be followed').to.equal(true);
  expect(again.failure?.message).to.equal(failure?.message);
  expect(again.trace.steps).to.deep.equal(failure?.trace.steps);
}

function describeFaulty(row: RaceRow): void {
  const { kind, models, preemptions, budget } = row;
  const memoryModel = models[0]!;

  for (const strategy of STRATEGIES) {
    it(`${strategy} finds the ${kind} within ${budget[strategy]} executions`, async () => {
      const options = { memoryModel, strategy, maxExecutions: budget[strategy], depth: row.pctDepth };
      const preemptionBound = strategy === 'dfs' ? preemptions : undefined;
      await expectFailure(row, await faulty(row, { ...options, preemptionBound }));
    });
  }

  if (preemptions > 0) {
    it(`cannot be found with fewer than ${preemptions} preemption(s)`, async () => {
      const fewer = await faulty(row, { memoryModel, strategy: 'dfs', preemptionBound: preemptions - 1 });
      expect(fewer.failure).to.equal(null);
      expect(fewer.incomplete).to.contain('preemptions');
    });
  }

  for (const model of MODELS.filter((each) => each !== memoryModel)) {
    if (models.includes(model)) {
      it(`fails under ${model} as well`, async () => {
        await expectFailure(row, await faulty(row, { memoryModel: model, maxExecutions: budget.dpor }));
      });
    } else {
      it(`holds under ${model}`, async () => {
        await expectProof(faulty(row, { memoryModel: model }));
      });
    }
  }
}

async function expectProof(exploration: Promise<ExploreResult>): Promise<void> {
  const result = await exploration;
  result.assertHeld();
  expect(result.complete, result.incomplete ?? '').to.equal(true);
  expect(result.blocked, 'executions cut off as redundant').to.equal(0);
}

describe('races', () => {
  for (const row of ROWS) describe(`${row.file}, ${row.variant ?? 'buggy'}`, () => describeFaulty(row));

  for (const { file, variant } of [...CURED, ...ALSO_HOLD]) {
    describe(`${file}, ${variant}`, () => {
      for (const memoryModel of MODELS) {
        it(`holds under ${memoryModel}, proven by exhausting the space`, async () => {
          await expectProof(explore(pathOf(file), { memoryModel, args: { variant } }));
        });
      }
    });
  }
});
