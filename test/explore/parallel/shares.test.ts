import { expect } from 'chai';
import type { InlineEngine } from '../../../lib/engine/inline/inline-engine';
import { Random } from '../../../lib/engine/rng';
import { DfsStrategy } from '../../../lib/explore/dfs';
import { DporStrategy } from '../../../lib/explore/dpor';
import { DfsBoard, type DfsJob, type DfsNews, DfsShare } from '../../../lib/explore/parallel/dfs-share';
import { DporBoard } from '../../../lib/explore/parallel/dpor-board';
import { DporShare } from '../../../lib/explore/parallel/dpor-share';
import { type Bare, exploreBare } from '../support/bare';
import { type Ingredients, randomPrograms } from '../support/random-programs';
import { searchShared } from '../support/shared-search';
import { finalStateOf, traceOf } from '../support/traces';

type MemoryModel = 'sc' | 'tso';

/** Each trace with how often it was executed, and the final states seen. */
class Survey {
  readonly traces = new Map<string, number>();
  readonly states = new Map<string, number>();

  constructor(private readonly programs: number) {}

  readonly note = (engine: InlineEngine): void => {
    for (const [map, key] of [
      [this.traces, traceOf(engine)],
      [this.states, finalStateOf(engine, this.programs)],
    ] as const) {
      map.set(key, (map.get(key) ?? 0) + 1);
    }
  };

  sorted(): unknown {
    return [[...this.traces].sort(), [...this.states].sort()];
  }
}

const KINDS: readonly (readonly [string, Ingredients])[] = [
  ['plain and atomic accesses', {}],
  ['bytes within words', { bytes: true }],
  ['choices', { choices: true }],
  ['locks', { locks: true }],
  ['waiting and spinning', { waits: true }],
  ['wait32 and notify32', { sleepers: true }],
  ['everything', { locks: true, waits: true, bytes: true, choices: true, sleepers: true }],
];

function dporShared(programs: readonly Bare[], memoryModel: MemoryModel, rng: Random, survey: Survey, atomic = false) {
  return searchShared(programs, {
    memoryModel,
    hypercalls: atomic ? 'atomic' : 'fine',
    maxSteps: 80,
    rng,
    workers: 1 + rng.below(4),
    shareEvery: 1 + rng.below(3),
    board: new DporBoard(programs.length, memoryModel, atomic),
    makeShare: (worker, send) => new DporShare(worker, send),
    onEnd: survey.note,
  });
}

/** Enough to see every kind of race, few enough for sharing after every other execution. */
const BUDGET = 1500;

describe('a search divided among several', () => {
  for (const [name, ingredients] of KINDS) {
    for (const memoryModel of ['sc', 'tso'] as const) {
      it(`by dpor executes each trace once, none in vain, whoever takes which part: ${name}, ${memoryModel}`, () => {
        const rng = new Random(4242);
        let jobs = 0;
        for (let round = 0; round < 40; round++) {
          const { programs, text } = randomPrograms(rng, ingredients, memoryModel === 'sc' ? BUDGET : BUDGET / 5);
          const alone = new Survey(programs.length);
          const sequential = exploreBare(programs, new DporStrategy(), {
            memoryModel,
            keepGoing: true,
            maxSteps: 80,
            onEnd: alone.note,
          });
          const together = new Survey(programs.length);
          const shared = dporShared(programs, memoryModel, rng, together);
          jobs += shared.jobs;
          expect(shared.executions, text).to.equal(sequential.executions);
          expect(shared.blocked, `cut off in ${text}`).to.equal(0);
          expect(together.sorted(), text).to.deep.equal(alone.sorted());
        }
        expect(jobs, 'parts').to.be.greaterThan(80);
      });
    }
  }

  it('by dpor with atomic hypercalls executes each trace once', () => {
    const rng = new Random(99);
    let jobs = 0;
    for (let round = 0; round < 80; round++) {
      const { programs, text } = randomPrograms(rng, { sections: true, locks: round % 2 === 0 }, BUDGET);
      const alone = new Survey(programs.length);
      const options = { hypercalls: 'atomic', keepGoing: true, maxSteps: 80, onEnd: alone.note } as const;
      exploreBare(programs, new DporStrategy(), options);
      const together = new Survey(programs.length);
      jobs += dporShared(programs, 'sc', rng, together, true).jobs;
      expect(together.sorted(), text).to.deep.equal(alone.sorted());
    }
    expect(jobs, 'parts').to.be.greaterThan(160);
  });

  for (const bound of [Number.POSITIVE_INFINITY, 1]) {
    it(`by dfs executes the same schedules, preemption bound ${bound}`, () => {
      const rng = new Random(7);
      let jobs = 0;
      for (let round = 0; round < 60; round++) {
        const { programs, text } = randomPrograms(rng, { choices: true, waits: round % 2 === 0 }, BUDGET / 3);
        const alone = new Survey(programs.length);
        const options = { keepGoing: true, maxSteps: 80, onEnd: alone.note };
        const sequential = exploreBare(programs, new DfsStrategy(bound), options);
        const together = new Survey(programs.length);
        const board = new DfsBoard();
        const shared = searchShared<DfsJob, DfsNews, never>(programs, {
          maxSteps: 80,
          rng,
          workers: 1 + rng.below(4),
          shareEvery: 1 + rng.below(3),
          board,
          makeShare: (_worker, send) => new DfsShare(bound, send),
          onEnd: together.note,
        });
        jobs += shared.jobs;
        expect(together.sorted(), text).to.deep.equal(alone.sorted());
        expect(shared.steps, text).to.equal(sequential.engine.steps);
        expect(board.explored(() => 0)).to.be.closeTo(1, 1e-9);
      }
      expect(jobs, 'parts').to.be.greaterThan(120);
    });
  }
});
