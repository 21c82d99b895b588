import { expect } from 'chai';
import type { Strategy } from '../../lib/engine/inline/strategy';
import { DfsStrategy } from '../../lib/explore/dfs';
import { PctStrategy } from '../../lib/explore/pct';
import { PosStrategy } from '../../lib/explore/pos';
import { RandomStrategy } from '../../lib/explore/random';
import { at, type Bare, exploreBare } from './support/bare';
import { litmus } from './support/litmus-program';
import { finalStateOf, traceOf } from './support/traces';

/** Traces reached by depth-first search with a bound, no two of which agree on what each read saw and write overwrote. */
function classes(program: string, preemptionBound: number): number {
  const traces = new Set<string>();
  const result = exploreBare(litmus(program), new DfsStrategy(preemptionBound), {
    onEnd: (engine) => traces.add(traceOf(engine)),
  });
  expect(result.complete).to.equal(true);
  return traces.size;
}

describe('DfsStrategy', () => {
  const CORR2 = 'Wx1||Wx2||Rx;Rx||Rx;Rx';
  for (const [name, program, expected] of [
    ['SB', 'Wx1;Ry||Wy1;Rx', [2, 3, 3]],
    ['IRIW', 'Wx1||Wy1||Rx;Ry||Ry;Rx', [14, 15, 15]],
    ['RWC', 'Wx1||Rx;Ry||Wy1;Rx', [6, 7, 7]],
    ['CoRR2', CORR2, [18, 54, 72, 72]],
  ] as const) {
    expected.forEach((count, bound) => {
      it(`reaches ${count} classes of ${name} with at most ${bound} preemptions`, () => {
        expect(classes(program, bound)).to.equal(count);
      });
    });
  }

  it('explores every schedule exactly once: the multinomial coefficient', () => {
    const step: Bare = (memory) => {
      memory.load32(at(0));
      memory.load32(at(0));
      memory.load32(at(0));
    };
    expect(exploreBare([step, step], new DfsStrategy()).executions).to.equal(20);
    expect(exploreBare([step, step, step], new DfsStrategy()).executions).to.equal(1680);
  });

  it('never explores more with a bound than without', () => {
    const step: Bare = (memory) => {
      memory.add32(at(0), 1);
      memory.add32(at(0), 1);
    };
    const all = exploreBare([step, step, step], new DfsStrategy()).executions;
    let before = 0;
    for (let bound = 0; bound <= 5; bound++) {
      const bounded = exploreBare([step, step, step], new DfsStrategy(bound)).executions;
      expect(bounded).to.be.at.least(before).and.at.most(all);
      before = bounded;
    }
    expect(before).to.equal(all);
  });
});

describe('PctStrategy', () => {
  /** Fails when the checker looks between the two halves of one update: depth 2, in a program of `steps` steps. */
  function depth2(padding: number): Bare[] {
    const pad = (memory: Parameters<Bare>[0]): void => {
      for (let step = 0; step < padding; step++) memory.add32(at(4), 1);
    };
    return [
      (memory) => {
        pad(memory);
        memory.store32(at(0), 1);
        memory.store32(at(1), 1);
        pad(memory);
      },
      (memory) => {
        pad(memory);
        const first = memory.load32(at(0));
        const second = memory.load32(at(1));
        pad(memory);
        return first - second;
      },
    ];
  }

  for (const padding of [2, 8, 20]) {
    it(`keeps its guarantee on a bug of depth 2 among ${4 * padding + 4} steps`, () => {
      const executions = 6_000;
      let met = 0;
      exploreBare(depth2(padding), new PctStrategy(2, 7), {
        maxExecutions: executions,
        check(_memory, values) {
          if (values[1] !== 0) met++;
        },
      });
      // Three standard deviations below the bound 1 / (n k): the seed is fixed, so this passes always or never.
      const guaranteed = 1 / (2 * (4 * padding + 4));
      const slack = 3 * Math.sqrt((guaranteed * (1 - guaranteed)) / executions);
      expect(met / executions).to.be.at.least(guaranteed - slack);
    });
  }

  it('never meets a bug of depth 2 with depth 1', () => {
    let met = 0;
    exploreBare(depth2(4), new PctStrategy(1, 7), {
      maxExecutions: 500,
      check(_memory, values) {
        if (values[1] !== 0) met++;
      },
    });
    expect(met).to.equal(0);
  });
});

describe('Random strategies', () => {
  const racy: Bare = (memory) => {
    const seen = memory.read32(at(0));
    memory.write32(at(0), seen + 1);
    return seen;
  };
  const kinds: Record<string, (seed: number) => Strategy> = {
    random: (seed) => new RandomStrategy(seed),
    'pct(3)': (seed) => new PctStrategy(3, seed),
    pos: (seed) => new PosStrategy(seed),
  };
  for (const [name, make] of Object.entries(kinds)) {
    function run(seed: number): string[] {
      const states: string[] = [];
      exploreBare([racy, racy, racy], make(seed), {
        maxExecutions: 300,
        onEnd: (engine) => states.push(finalStateOf(engine, 3)),
      });
      return states;
    }

    it(`${name} repeats itself for the same seed`, () => {
      expect(run(5)).to.deep.equal(run(5));
      expect(run(5)).to.not.deep.equal(run(6));
    });

    it(`${name} reaches every final state of a small program`, () => {
      const states = new Set<string>();
      exploreBare([racy, racy, racy], new DfsStrategy(), { onEnd: (engine) => states.add(finalStateOf(engine, 3)) });
      expect(new Set(run(1))).to.deep.equal(states);
    });
  }
});
