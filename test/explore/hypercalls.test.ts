import path from 'node:path';
import { expect } from 'chai';
import { Op } from '../../lib/engine/inline/ops';
import type { Strategy } from '../../lib/engine/inline/strategy';
import { Random } from '../../lib/engine/rng';
import { DfsStrategy } from '../../lib/explore/dfs';
import { DporStrategy } from '../../lib/explore/dpor';
import { ExploreOptionError } from '../../lib/explore/options';
import { replay } from '../../lib/explore/replay';
import { explore } from '../../lib/report/explore-result';
import { at, type Bare } from './support/bare';
import { type Ingredients, randomPrograms } from './support/random-programs';
import { survey as surveyAll } from './support/survey';

/** A program whose accesses are one hypercall. */
function visit(code: Bare): Bare {
  return (memory, engine) => {
    engine.step(Op.ENTER, 0, 0);
    const value = code(memory, engine);
    engine.step(Op.LEAVE, 0, 0);
    return value;
  };
}

function survey(programs: readonly Bare[], strategy: Strategy, memoryModel: 'sc' | 'tso') {
  return surveyAll(programs, strategy, memoryModel, 'atomic');
}

/** The path of a race in the gallery. */
function race(name: string): string {
  return path.join(__dirname, '../../examples/races', name);
}

describe('explore with atomic hypercalls', () => {
  const R21 = race('r21-send-races-with-rebind.ts');

  it('does not find a race that needs a step into the middle of a hypercall (R21), which it finds otherwise', async () => {
    for (const memoryModel of ['sc', 'tso'] as const) {
      const fine = await explore(R21, { memoryModel });
      expect(fine.failure?.kind).to.equal('invariant');
      const atomic = await explore(R21, { memoryModel, hypercalls: 'atomic' });
      expect(atomic.failure).to.equal(null);
      expect(atomic.complete).to.equal(true);
    }
  });

  const VERDICTS: Readonly<Record<string, readonly string[]>> = {
    'r01-unmask-without-second-look.ts': ['buggy', 'fixed'],
    'r14-check-then-block.ts': ['buggy', 'fixed'],
    'r20-rebind-while-pending.ts': ['buggy', 'fixed'],
  };
  for (const [file, variants] of Object.entries(VERDICTS)) {
    for (const variant of variants) {
      it(`comes to the same verdict in no more executions where the race is between hypercalls: ${file}, ${variant}`, async () => {
        const fine = await explore(race(file), { args: { variant } });
        const atomic = await explore(race(file), { args: { variant }, hypercalls: 'atomic' });
        expect(atomic.failure?.kind).to.equal(fine.failure?.kind);
        expect(atomic.complete).to.equal(fine.complete);
        expect(atomic.executions).to.be.at.most(fine.executions);
        if (fine.complete) expect(atomic.executions).to.be.below(fine.executions);
      });
    }
  }

  it('replays a schedule of atomic hypercalls in both engines, each access a row of the trace', async () => {
    const file = race('r01-unmask-without-second-look.ts');
    const { failure } = await explore(file, { hypercalls: 'atomic', memoryModel: 'tso' });
    for (const engine of ['inline', 'lockstep'] as const) {
      const replayed = await replay(file, failure?.token as string, { engine });
      expect(replayed.followed).to.equal(true);
      expect(replayed.failure?.kind).to.equal(failure?.kind);
      expect(replayed.trace.steps.length).to.be.above(failure?.schedule.length as number);
      expect(replayed.trace.steps.map(({ op }) => op)).to.not.include.members(['enter', 'leave']);
    }
  });

  it('refuses another value in one line', async () => {
    const refused = await explore(R21, { hypercalls: 'coarse' as 'fine' }).catch((error: unknown) => error);
    expect(refused).to.be.an.instanceOf(ExploreOptionError);
    expect((refused as Error).message).to.equal('hypercalls must be fine or atomic, not coarse');
  });
});

describe('a hypercall that is one step', () => {
  const addTwice: Bare = (memory) => memory.add32(at(0), 1) * 10 + memory.add32(at(0), 1);

  it('lets nobody in between: two visits, two orders', () => {
    for (const strategy of [new DfsStrategy(), new DporStrategy()]) {
      const { states, executions } = survey([visit(addTwice), visit(addTwice)], strategy, 'sc');
      expect(executions).to.equal(2);
      expect(states.size).to.equal(2);
    }
  });

  it('does not depend on another for a lock that both give back', () => {
    const own = (word: number): Bare =>
      visit((memory) => {
        memory.writeLock(at(8));
        memory.add32(at(word), 1);
        memory.writeUnlock(at(8));
      });
    expect(survey([own(0), own(1), own(2)], new DporStrategy(), 'sc').executions).to.equal(1);
  });

  it('ends its step where it sleeps, and goes on in one step when it is woken', () => {
    const sleeper = visit((memory) => {
      memory.store32(at(0), 1);
      memory.awaitClear(at(0), 1);
      return memory.load32(at(1)) * 10 + memory.load32(at(1));
    });
    const waker: Bare = (memory) => {
      memory.and32(at(0), 0);
      memory.store32(at(1), 1);
    };
    const { states } = survey([sleeper, waker], new DporStrategy(), 'sc');
    const results = [...states].map((state) => JSON.parse(state.split('|')[1] as string)[0]);
    expect(results.sort()).to.deep.equal([0, 11, 'waiting']);
  });

  it('waits for a lock that a sleeper holds', () => {
    const holder = visit((memory) => {
      memory.writeLock(at(8));
      memory.store32(at(0), 1);
      memory.awaitClear(at(0), 1);
      memory.writeUnlock(at(8));
    });
    const other = visit((memory) => {
      memory.writeLock(at(8));
      memory.writeUnlock(at(8));
    });
    const waker: Bare = (memory) => memory.awaitClear(at(0), 0) + memory.and32(at(0), 0);
    const reduced = survey([holder, other, waker], new DporStrategy(), 'sc');
    const all = survey([holder, other, waker], new DfsStrategy(), 'sc');
    expect([...reduced.states].sort()).to.deep.equal([...all.states].sort());
  });

  it('begins and ends with the store buffer empty under tso', () => {
    const side = (mine: number, theirs: number): Bare =>
      visit((memory) => {
        memory.write32(at(mine), 1);
        return memory.read32(at(theirs));
      });
    const { states } = survey([side(0, 1), side(1, 0)], new DporStrategy(), 'tso');
    expect(states.size).to.equal(2);
  });

  describe('leads dpor to what brute force finds on random programs', () => {
    const kinds: Record<string, Ingredients> = {
      'plain and atomic accesses': {},
      bytes: { bytes: true },
      locks: { locks: true },
      waiting: { waits: true },
      'wait32 and notify32': { sleepers: true },
      everything: { bytes: true, locks: true, waits: true, sleepers: true },
    };
    for (const memoryModel of ['sc', 'tso'] as const) {
      for (const [title, ingredients] of Object.entries(kinds)) {
        it(`${title}, ${memoryModel}`, () => {
          const rng = new Random(1_123);
          for (let round = 0; round < 60; round++) {
            const budget = memoryModel === 'tso' ? 250 : 2_000;
            const { programs, text } = randomPrograms(rng, { ...ingredients, sections: true }, budget);
            const all = survey(programs, new DfsStrategy(), memoryModel);
            const reduced = survey(programs, new DporStrategy(), memoryModel);
            expect([...reduced.states].sort(), `final states of ${text}`).to.deep.equal([...all.states].sort());
            expect([...reduced.traces.keys()].sort(), `traces of ${text}`).to.deep.equal([...all.traces.keys()].sort());
            expect(Math.max(...reduced.traces.values()), `repetitions in ${text}`).to.equal(1);
          }
        }).timeout(60_000);
      }
    }
  });
});
