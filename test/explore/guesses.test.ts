import { expect } from 'chai';
import type { MemoryModel } from '../../lib/engine/inline/event-stack';
import { Guesses } from '../../lib/engine/inline/guesses';
import type { InlineEngine } from '../../lib/engine/inline/inline-engine';
import { MachineState } from '../../lib/engine/inline/machine-state';
import { Random } from '../../lib/engine/rng';
import { RandomStrategy } from '../../lib/explore/random';
import { recordSchedule, ScriptStrategy } from '../../lib/explore/script';
import { at, type Bare, exploreBare } from './support/bare';
import { randomPrograms } from './support/random-programs';
import { finalStateOf, traceOf } from './support/traces';

/** Counts the guesses that turn out wrong while `act` runs. */
function wrongGuesses(act: () => void): number {
  const { wasWrong } = MachineState.prototype;
  let wrong = 0;
  MachineState.prototype.wasWrong = function (program, position) {
    wrong++;
    wasWrong.call(this, program, position);
  };
  try {
    act();
  } finally {
    MachineState.prototype.wasWrong = wasWrong;
  }
  return wrong;
}

/** Has what is seen once trusted at once while `act` runs: many guesses, many of them wrong. */
function recklessly(act: () => void): void {
  const { observe } = Guesses.prototype;
  Guesses.prototype.observe = function (...what) {
    for (let time = 0; time < 40; time++) observe.apply(this, what);
  };
  try {
    act();
  } finally {
    Guesses.prototype.observe = observe;
  }
}

/** Random search where histories are not remembered, so that what programs do next has to be guessed. */
function search(
  programs: readonly Bare[],
  seed: number,
  maxExecutions: number,
  onEnd?: (engine: InlineEngine) => void,
  memoryModel: MemoryModel = 'sc',
) {
  return exploreBare(programs, new RandomStrategy(seed), {
    memoryModel,
    maxExecutions,
    keepGoing: true,
    onEnd(engine) {
      engine.state.cache.enabled = false;
      onEnd?.(engine);
    },
  });
}

/** What an execution shows; and the same of a run of its schedule without guesses. */
function compareWithScript(programs: readonly Bare[], engine: InlineEngine, memoryModel: MemoryModel): void {
  const { actors, choices } = recordSchedule(engine.state);
  const seen = { trace: traceOf(engine), final: finalStateOf(engine, programs.length) };
  const script = new ScriptStrategy(actors, choices, true);
  exploreBare(programs, script, {
    memoryModel,
    maxExecutions: 1,
    keepGoing: true,
    onEnd(other) {
      expect({ trace: traceOf(other), final: finalStateOf(other, programs.length) }).to.deep.equal(seen);
    },
  });
  expect(script.divergedAt).to.equal(-1);
}

/**
 * The first nearly always does the same, and something else when the second is early; what the second then reads shows whether
 * it was lied to.
 */
function rarelyDifferent(whatIfLied: (engine: InlineEngine) => void): Bare[] {
  return [
    (memory) => {
      const early = memory.exchange32(at(0), 5);
      memory.store32(at(1), 10 + early);
      for (let i = 0; i < 6; i++) memory.add32(at(3), 1);
    },
    (memory, engine) => {
      for (let i = 0; i < 5; i++) memory.add32(at(2), 1);
      const before = memory.add32(at(0), 1);
      const answer = memory.load32(at(1));
      if (answer !== 0 && answer !== (before === 0 ? 11 : 10)) whatIfLied(engine);
      memory.add32(at(3), 1);
    },
  ];
}

describe('guessing what a program does next', () => {
  for (const memoryModel of ['sc', 'tso'] as const) {
    it(`leaves executions under ${memoryModel} as they would be without`, () => {
      const rng = new Random(11);
      let compared = 0;
      const wrong = wrongGuesses(() =>
        recklessly(() => {
          for (let round = 0; round < 40; round++) {
            const ingredients = { locks: true, waits: true, bytes: true, choices: true, sleepers: true };
            const { programs } = randomPrograms(rng, round % 2 === 0 ? {} : ingredients);
            const check = (engine: InlineEngine) => {
              compared++;
              compareWithScript(programs, engine, memoryModel);
            };
            search(programs, round, 120, check, memoryModel);
          }
          const branching = rarelyDifferent(() => undefined);
          search(branching, 1, 2000, (engine) => compareWithScript(branching, engine, memoryModel), memoryModel);
        }),
      );
      expect(compared).to.be.above(1000);
      expect(wrong).to.be.above(100);
    });
  }

  it('runs programs that always do the same hardly ever', () => {
    let runs = 0;
    const program: Bare = (memory) => {
      runs++;
      let sum = 0;
      for (let i = 0; i < 50; i++) sum = (sum * 31 + memory.add32(at(i & 3), 1)) | 0;
      return sum;
    };
    search([program, program], 1, 1000);
    expect(runs).to.be.below(4000);
  });

  it('counts the steps of executions, not those taken back', () => {
    let steps = 0;
    const result = search(
      rarelyDifferent(() => undefined),
      1,
      2000,
      (engine) => {
        steps += engine.state.depth;
      },
    );
    expect(result.engine.steps).to.equal(steps);
  });

  it('does not take for a crash what only a wrong guess led to', () => {
    const programs = rarelyDifferent(() => {
      throw new Error('lied to');
    });
    const wrong = wrongGuesses(() => expect(search(programs, 1, 5000).failure).to.equal(null));
    expect(wrong).to.be.above(5);
  });

  it('does not take for a failed assertion what only a wrong guess led to', () => {
    const programs = rarelyDifferent((engine) => engine.abort('assertion', new Error('lied to')));
    const wrong = wrongGuesses(() => expect(search(programs, 1, 5000).failure).to.equal(null));
    expect(wrong).to.be.above(5);
  });

  it('finds the failure of a program that usually goes on there, and its schedule', () => {
    const programs = rarelyDifferent(() => undefined);
    programs[0] = (memory, engine) => {
      if (memory.exchange32(at(0), 5) !== 0) engine.abort('assertion', new Error('early'));
      memory.store32(at(1), 10);
      memory.add32(at(3), 1);
    };
    let schedule = { actors: [] as number[], choices: [] as number[] };
    let failure: unknown;
    let steps = 0;
    recklessly(() => {
      ({ failure } = exploreBare(programs, new RandomStrategy(1), {
        maxExecutions: 5000,
        onEnd(engine) {
          engine.state.cache.enabled = false;
          schedule = recordSchedule(engine.state);
          steps = engine.state.pos[0] as number;
        },
      }));
    });
    expect(failure).to.include({ kind: 'assertion', message: 'early' });
    expect(steps).to.equal(1);
    const script = new ScriptStrategy(schedule.actors, schedule.choices, true);
    expect(exploreBare(programs, script).failure?.message).to.equal('early');
    expect(script.divergedAt).to.equal(-1);
  });

  it('does not count as reached what only a wrong guess led to, and counts what was reached', () => {
    const reached = new Set<string>();
    const programs = rarelyDifferent((engine) => engine.whenSure(() => reached.add('lied to')));
    programs.push((memory, engine) => {
      if (memory.load32(at(1)) === 11) engine.whenSure(() => reached.add('early'));
    });
    const wrong = wrongGuesses(() => search(programs, 1, 5000));
    expect(wrong).to.be.above(5);
    expect([...reached]).to.deep.equal(['early']);
  });

  it('finds a program that is not deterministic', () => {
    let call = 0;
    const moody: Bare = (memory) => {
      const odd = call++ % 7;
      for (let i = 0; i < 10; i++) memory.add32(at(i === 5 && odd === 0 ? 1 : 0), 1);
    };
    expect(search([moody, moody], 1, 3000).failure?.kind).to.equal('nondeterminism');
  });
});
