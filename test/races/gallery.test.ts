/**
 * The gallery of races: every strategy finds the faulty form within a stated number of executions, exploration proves
 * the cured form, and whatever was found replays.
 */
import { expect } from 'chai';
import { type ExploreOptions, type ExploreResult, explore, replay } from '../../lib';
import type { EventAbi } from '../../lib/guest/vcpu';
import type { Holding, RaceRow } from './row';
import { TABLE_A } from './table-a';
import { ALSO_HOLD, TABLE_B } from './table-b';

const ROWS: readonly RaceRow[] = [...TABLE_A, ...TABLE_B];
const MODELS = ['sc', 'tso'] as const;
const TWO_LEVEL: readonly EventAbi[] = ['2l'];
/** Under the FIFO ABI one random and one exhaustive strategy have to do: there is more to a send, the fault is the same. */
const STRATEGIES = { '2l': ['random', 'pct', 'pos', 'dfs', 'dpor'], fifo: ['pct', 'dpor'] } as const;

function pathOf(file: string): string {
  return `examples/races/${file}.ts`;
}

function faulty({ file, variant = 'buggy', seed = 1 }: RaceRow, options: ExploreOptions): Promise<ExploreResult> {
  return explore(pathOf(file), { seed, args: { variant }, ...options });
}

/** `fixed` of every file, under the ABIs of its rows. */
function cures(): Holding[] {
  const all = ROWS.flatMap(({ file, events = TWO_LEVEL }) => events.map((abi) => `${file} ${abi}`));
  return [...new Set(all)].map((each) => {
    const [file, events] = each.split(' ') as [string, EventAbi];
    return { file, variant: 'fixed', events };
  });
}

/** The failure is the row's, and its token leads to it again. */
async function expectFailure(
  row: RaceRow,
  events: EventAbi,
  { failure, strategy, executions }: ExploreResult,
): Promise<void> {
  expect(failure?.kind, `${strategy}, ${executions} executions`).to.equal(row.kind);
  const args = { variant: row.variant ?? 'buggy' };
  const again = await replay(pathOf(row.file), failure!.token, { args, events });
  expect(again.followed, 'the token can be followed').to.equal(true);
  expect(again.failure?.message).to.equal(failure?.message);
  expect(again.trace.steps).to.deep.equal(failure?.trace.steps);
}

function describeFaulty(row: RaceRow, events: EventAbi): void {
  const { kind, models, preemptions, budget } = row;
  const memoryModel = models[0]!;

  for (const strategy of STRATEGIES[events]) {
    it(`${strategy} finds the ${kind} within ${budget[strategy]} executions`, async () => {
      const options = { events, memoryModel, strategy, maxExecutions: budget[strategy], depth: row.pctDepth };
      const preemptionBound = strategy === 'dfs' ? preemptions : undefined;
      await expectFailure(row, events, await faulty(row, { ...options, preemptionBound }));
    });
  }

  if (preemptions > 0) {
    it(`cannot be found with fewer than ${preemptions} preemption(s)`, async () => {
      const fewer = await faulty(row, { events, memoryModel, strategy: 'dfs', preemptionBound: preemptions - 1 });
      expect(fewer.failure).to.equal(null);
      expect(fewer.incomplete).to.contain('preemptions');
    });
  }

  for (const model of MODELS.filter((each) => each !== memoryModel)) {
    if (models.includes(model)) {
      it(`fails under ${model} as well`, async () => {
        await expectFailure(row, events, await faulty(row, { events, memoryModel: model, maxExecutions: budget.dpor }));
      });
    } else {
      it(`holds under ${model}`, async () => {
        await expectProof(faulty(row, { events, memoryModel: model }));
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
  for (const row of ROWS) {
    for (const events of row.events ?? TWO_LEVEL) {
      describe(`${row.file}, ${row.variant ?? 'buggy'}, ${events} events`, () => describeFaulty(row, events));
    }
  }

  for (const { file, variant, events } of [...cures(), ...ALSO_HOLD]) {
    describe(`${file}, ${variant}, ${events} events`, () => {
      for (const memoryModel of MODELS) {
        it(`holds under ${memoryModel}, proven by exhausting the space`, async () => {
          await expectProof(explore(pathOf(file), { events, memoryModel, args: { variant } }));
        });
      }
    });
  }
});
