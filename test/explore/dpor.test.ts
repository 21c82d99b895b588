import { expect } from 'chai';
import { InlineEngine } from '../../lib/engine/inline/inline-engine';
import type { InlineMemory } from '../../lib/engine/inline/inline-memory';
import type { Strategy } from '../../lib/engine/inline/strategy';
import { Random } from '../../lib/engine/rng';
import { DfsStrategy } from '../../lib/explore/dfs';
import { DporStrategy } from '../../lib/explore/dpor';
import { at, type Bare, type BareOptions, exploreBare } from './support/bare';
import { type Ingredients, randomPrograms } from './support/random-programs';
import { survey } from './support/survey';
import { finalStateOf } from './support/traces';

/** Executions that run to the end; none may be cut off. */
function count(programs: readonly Bare[], options: BareOptions = {}): number {
  const result = exploreBare(programs, new DporStrategy(), { words: 32, ...options });
  expect(result.failure).to.equal(null);
  expect(result.complete).to.equal(true);
  expect(result.blocked, 'executions cut off').to.equal(0);
  return result.executions;
}

function adders(actors: number, adds: number): Bare[] {
  return Array.from({ length: actors }, () => (memory) => {
    let seen = 0;
    for (let add = 0; add < adds; add++) seen = seen * 31 + memory.add32(at(0), 1);
    return seen;
  });
}

function readers(readerCount: number): Bare[] {
  const readAll: Bare[] = Array.from({ length: readerCount }, () => (memory) => memory.read32(at(0)));
  return [(memory) => memory.write32(at(0), 1), ...readAll];
}

function lastZero(writers: number): Bare[] {
  const write =
    (index: number): Bare =>
    (memory) =>
      memory.write32(at(index), memory.read32(at(index - 1)) + 1);
  const scan: Bare = (memory) => {
    let index = writers;
    while (memory.read32(at(index)) !== 0) index--;
    return index;
  };
  return [scan, ...Array.from({ length: writers }, (_, index) => write(index + 1))];
}

describe('DporStrategy', () => {
  describe('explores as many executions as the literature says', () => {
    it('3 for store buffering', () => {
      const side =
        (mine: number, theirs: number): Bare =>
        (memory) => {
          memory.write32(at(mine), 1);
          return memory.read32(at(theirs));
        };
      expect(count([side(0, 1), side(1, 0)])).to.equal(3);
    });

    for (const [actors, adds, expected] of [
      [2, 1, 2],
      [2, 2, 6],
      [2, 3, 20],
      [2, 4, 70],
      [3, 2, 90],
      [3, 3, 1680],
      [3, 4, 34650],
    ] as const) {
      it(`${expected} for ${actors} actors with ${adds} atomic adds on one word each`, () => {
        expect(count(adders(actors, adds))).to.equal(expected);
      });
    }

    for (let n = 1; n <= 13; n++) {
      it(`${2 ** n} for one writer and ${n} readers`, () => {
        expect(count(readers(n))).to.equal(2 ** n);
      });
    }

    for (const [n, expected] of [
      [2, 5],
      [3, 12],
      [4, 28],
      [5, 64],
      [6, 144],
      [7, 320],
      [8, 704],
      [10, 3328],
    ] as const) {
      it(`${expected} for lastzero(${n})`, () => {
        expect(count(lastZero(n))).to.equal(expected);
      });
    }
  });

  it('explores one execution when nothing conflicts', () => {
    const own =
      (word: number): Bare =>
      (memory) => {
        memory.write32(at(word), 1);
        return memory.add32(at(word), 1);
      };
    expect(count([own(0), own(1), own(2)])).to.equal(1);
  });

  it('takes a failed compare-exchange for a read', () => {
    const fail: Bare = (memory) => memory.compareExchange32(at(0), 7, 8);
    expect(count([fail, fail, fail])).to.equal(1);
  });

  it('tries every value of a choice once', () => {
    const seen: unknown[] = [];
    const chooser: Bare = (_memory, engine) => engine.choose(3);
    const check = (_memory: unknown, values: readonly unknown[]): void => void seen.push(values.join());
    expect(count([chooser, chooser], { check })).to.equal(9);
    expect(new Set(seen).size).to.equal(9);
  });

  it('makes a choice of many values digit by digit', () => {
    const seen = new Set<unknown>();
    const check = (_memory: unknown, values: readonly unknown[]): void => void seen.add(values[0]);
    expect(count([(_memory, engine) => engine.choose(100)], { check })).to.equal(100);
    expect(seen.size).to.equal(100);
  });

  it('reverses two critical sections although the later one had to wait for the lock', () => {
    const section: Bare = (memory) => {
      memory.writeLock(at(1));
      const seen = memory.read32(at(0));
      memory.write32(at(0), seen + 1);
      memory.writeUnlock(at(1));
      return seen;
    };
    expect(count([section, section])).to.equal(2);
    expect(count([section, section, section])).to.equal(6);
  });

  it('lets shared acquisitions of a lock commute', () => {
    const shared: Bare = (memory) => {
      memory.readLock(at(1));
      const seen = memory.read32(at(0));
      memory.readUnlock(at(1));
      return seen;
    };
    expect(count([shared, shared, shared])).to.equal(1);
  });

  it('finds the deadlock of two locks taken in opposite order', () => {
    const both =
      (first: number, second: number): Bare =>
      (memory) => {
        memory.writeLock(at(first));
        memory.writeLock(at(second));
        memory.writeUnlock(at(second));
        memory.writeUnlock(at(first));
      };
    const result = exploreBare([both(0, 1), both(1, 0)], new DporStrategy());
    expect(result.failure?.kind).to.equal('deadlock');
  });

  it('knows under tso that a spinning actor sees of a word both its own bytes and those of others', () => {
    const spin: Bare = (memory, engine) => {
      memory.write8(at(0) + 1, 1);
      while ((memory.read32(at(0)) & 0xff) === 0) engine.relax();
    };
    const set: Bare = (memory) => {
      memory.or8(at(0), 1);
      return memory.read8(at(0) + 1);
    };
    const reduced = survey([spin, set], new DporStrategy(), 'tso');
    const all = survey([spin, set], new DfsStrategy(), 'tso');
    expect([...reduced.traces.keys()].sort()).to.deep.equal([...all.traces.keys()].sort());
    expect(reduced.executions).to.equal(all.traces.size);
  });

  it('explores a spin loop once per value it can see, not once per iteration', () => {
    const spin: Bare = (memory, engine) => {
      while (memory.load32(at(0)) === 0) engine.relax();
      return memory.load32(at(1));
    };
    const set: Bare = (memory) => {
      memory.store32(at(1), 5);
      memory.store32(at(0), 1);
    };
    // The flag is found set at once, or after one round of spinning.
    expect(count([spin, set])).to.equal(2);
  });

  describe('agrees with brute force on random programs: every trace once, every final state', () => {
    const kinds: Record<string, Ingredients> = {
      'plain and atomic accesses': {},
      'bytes within words': { bytes: true },
      choices: { choices: true },
      locks: { locks: true },
      'waiting and spinning': { waits: true },
      'spinning on bytes of words that others share': { bytes: true, spins: true },
      'wait32 and notify32': { sleepers: true },
      everything: { bytes: true, choices: true, locks: true, waits: true },
    };
    for (const memoryModel of ['sc', 'tso'] as const) {
      for (const [title, ingredients] of Object.entries(kinds)) {
        it(`${title}, ${memoryModel}`, () => {
          const rng = new Random(20_261_123);
          for (let round = 0; round < 60; round++) {
            const { programs, text } = randomPrograms(rng, ingredients, memoryModel === 'tso' ? 250 : 2_000);
            const all = survey(programs, new DfsStrategy(), memoryModel);
            const reduced = survey(programs, new DporStrategy(), memoryModel);
            expect([...reduced.traces.keys()].sort(), `traces of ${text}`).to.deep.equal([...all.traces.keys()].sort());
            expect(Math.max(...reduced.traces.values()), `repetitions in ${text}`).to.equal(1);
            expect(reduced.blocked, `cut off in ${text}`).to.equal(0);
            expect([...reduced.states].sort(), `final states of ${text}`).to.deep.equal([...all.states].sort());
          }
        }).timeout(60_000);
      }
    }
  });
});

describe('DporStrategy with daemons', () => {
  it('misses no result of the others, although executions matter only until they have ended', () => {
    const rng = new Random(77);
    for (let round = 0; round < 200; round++) {
      const { programs, text } = randomPrograms(rng, round % 2 === 0 ? {} : { waits: true }, 2_000);
      const all = resultsWithDaemon(programs, new DfsStrategy());
      const reduced = resultsWithDaemon(programs, new DporStrategy());
      expect([...reduced].sort(), text).to.deep.equal([...all].sort());
    }
  }).timeout(60_000);
});

/** What all programs but the last can return; the last is a daemon. */
function resultsWithDaemon(programs: readonly Bare[], strategy: Strategy): Set<string> {
  let memory: InlineMemory;
  const guests = programs.length - 1;
  const engine: InlineEngine = new InlineEngine(
    64,
    programs.map((program, index) => ({
      name: `p${index}`,
      ...(index === guests && { daemon: 'hardware' as const }),
      run: () => program(memory, engine),
    })),
    { maxSteps: 100 },
  );
  memory = engine.region(0, 64);
  const results = new Set<string>();
  const exhausted = engine.explore(strategy, {
    executionDone(failure) {
      results.add(`${finalStateOf(engine, guests).split('|')[1]} ${failure?.kind ?? ''}`);
      return false;
    },
  });
  expect(exhausted).to.equal(true);
  return results;
}
