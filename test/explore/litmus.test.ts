import { expect } from 'chai';
import type { MemoryModel } from '../../lib/engine/inline/event-stack';
import { DporStrategy } from '../../lib/explore/dpor';
import { at, exploreBare } from './support/bare';
import { litmus } from './support/litmus-program';
import { finalStateOf } from './support/traces';

/** What the threads read (their exchanges included), and memory: `r[0]` of thread 0, `m.x`. */
type Outcome = (reads: readonly (readonly number[])[], x: number, y: number) => boolean;

interface Row {
  name: string;
  program: string;
  /** The outcome asked for. */
  asked: Outcome;
  /** Whether it may happen under sc and under x86-TSO. */
  sc: boolean;
  tso: boolean;
  /** Distinct final states under sc and under x86-TSO. */
  states: readonly [number, number];
}

const reads =
  (...wanted: number[][]): Outcome =>
  (seen) =>
    wanted.every((thread, index) =>
      thread.every((value, read) => Number.isNaN(value) || seen[index]?.[read] === value),
    );
const _ = Number.NaN;
const ring = (size: number, thread: (mine: string, next: string) => string): string =>
  Array.from({ length: size }, (_unused, i) => thread('xyzwab'.charAt(i), 'xyzwab'.charAt((i + 1) % size))).join('||');

function row(
  name: string,
  program: string,
  asked: Outcome,
  sc: 'A' | 'F',
  tso: 'A' | 'F',
  states: readonly [number, number],
): Row {
  return { name, program, asked, sc: sc === 'A', tso: tso === 'A', states };
}

// Verdicts: herdtools7 (x86-TSO), RTLCheck, Sewell et al. CACM 53(7), the Intel and AMD manuals' examples, Nidhugg and
// GenMC under SC. A = allowed, F = forbidden.
const rows: Row[] = [
  row('SB', 'Wx1;Ry||Wy1;Rx', reads([0], [0]), 'F', 'A', [3, 4]),
  row('SB+mfences', 'Wx1;F;Ry||Wy1;F;Rx', reads([0], [0]), 'F', 'F', [3, 3]),
  row('SB+mfence+po', 'Wx1;F;Ry||Wy1;Rx', reads([0], [0]), 'F', 'A', [3, 4]),
  row('SB+xchgs', 'Xx1;Ry||Xy1;Rx', reads([_, 0], [_, 0]), 'F', 'F', [3, 3]),
  row('SB+xchg+po', 'Xx1;Ry||Wy1;Rx', reads([_, 0], [0]), 'F', 'A', [3, 4]),
  row('SB+xchg of a third cell', 'Wx1;Xz1;Ry||Wy1;Xw1;Rx', reads([_, 0], [_, 0]), 'F', 'F', [3, 3]),
  row('SB+rfi-pos', 'Wx1;Rx;Ry||Wy1;Ry;Rx', reads([1, 0], [1, 0]), 'F', 'A', [3, 4]),
  row('amd10', 'Wx1;F;Rx;Ry||Wy1;F;Ry;Rx', reads([_, 0], [_, 0]), 'F', 'F', [3, 3]),
  row('MP', 'Wx1;Wy1||Ry;Rx', reads([], [1, 0]), 'F', 'F', [3, 3]),
  row('MP+xchg', 'Xx1;Wy1||Ry;Rx', reads([], [1, 0]), 'F', 'F', [3, 3]),
  row('MP+fences', 'Wx1;F;Wy1||Ry;F;Rx', reads([], [1, 0]), 'F', 'F', [3, 3]),
  row('MP+stale load', 'Wx1;Wy1||Rx;Ry;Rx', reads([], [0, 1, 0]), 'F', 'F', [5, 5]),
  row('LB', 'Rx;Wy1||Ry;Wx1', reads([1], [1]), 'F', 'F', [3, 3]),
  row('S', 'Wx2;Wy1||Ry;Wx1', (seen, x) => x === 2 && seen[1]?.[0] === 1, 'F', 'F', [3, 3]),
  row('R', 'Wx1;Wy1||Wy2;Rx', (seen, _x, y) => y === 2 && seen[1]?.[0] === 0, 'F', 'A', [3, 4]),
  row('R+po+mfence', 'Wx1;Wy1||Wy2;F;Rx', (seen, _x, y) => y === 2 && seen[1]?.[0] === 0, 'F', 'F', [3, 3]),
  row('R+mfence+po', 'Wx1;F;Wy1||Wy2;Rx', (seen, _x, y) => y === 2 && seen[1]?.[0] === 0, 'F', 'A', [3, 4]),
  row('R+mfences', 'Wx1;F;Wy1||Wy2;F;Rx', (seen, _x, y) => y === 2 && seen[1]?.[0] === 0, 'F', 'F', [3, 3]),
  row('R+po+xchg', 'Wx1;Wy1||Xy2;Rx', (seen, _x, y) => y === 2 && seen[1]?.[1] === 0, 'F', 'F', [3, 3]),
  row('2+2W', 'Wx2;Wy1||Wy2;Wx1', (_seen, x, y) => x === 2 && y === 2, 'F', 'F', [3, 3]),
  row('IRIW', 'Wx1||Wy1||Rx;Ry||Ry;Rx', reads([], [], [1, 0], [1, 0]), 'F', 'F', [15, 15]),
  row('IRIW+xchgs', 'Xx1||Xy1||Rx;Ry||Ry;Rx', reads([], [], [1, 0], [1, 0]), 'F', 'F', [15, 15]),
  row('WRC', 'Wx1||Rx;Wy1||Ry;Rx', reads([], [1], [1, 0]), 'F', 'F', [7, 7]),
  row('RWC', 'Wx1||Rx;Ry||Wy1;Rx', reads([], [1, 0], [0]), 'F', 'A', [7, 8]),
  row('RWC+po+mfence', 'Wx1||Rx;Ry||Wy1;F;Rx', reads([], [1, 0], [0]), 'F', 'F', [7, 7]),
  row('WRW+WR', 'Wx1||Rx;Wy1||Wy2;Rx', (seen, _x, y) => y === 2 && reads([], [1], [0])(seen, 0, 0), 'F', 'A', [7, 8]),
  row(
    'WRW+WR+po+mfence',
    'Wx1||Rx;Wy1||Wy2;F;Rx',
    (seen, _x, y) => y === 2 && reads([], [1], [0])(seen, 0, 0),
    'F',
    'F',
    [7, 7],
  ),
  row('WWC', 'Wx2||Rx;Wy1||Ry;Wx1', (seen, x) => x === 2 && reads([], [2], [1])(seen, 0, 0), 'F', 'F', [9, 9]),
  row('WRR+2W', 'Wx2||Rx;Ry||Wy1;Wx1', (seen, x) => x === 2 && reads([], [2, 0])(seen, 0, 0), 'F', 'F', [9, 9]),
  row(
    'WRW+2W',
    'Wx2||Rx;Wy1||Wy2;Wx1',
    (seen, x, y) => x === 2 && y === 2 && reads([], [2])(seen, 0, 0),
    'F',
    'F',
    [9, 9],
  ),
  row('ISA2', 'Wx1;Wy1||Ry;Wz1||Rz;Rx', reads([], [1], [1, 0]), 'F', 'F', [7, 7]),
  row('W+RWC', 'Wx1;Wy1||Ry;Rz||Wz1;Rx', reads([], [1, 0], [0]), 'F', 'A', [7, 8]),
  row(
    'Z6.3',
    'Wx1;Wy1||Wy2;Wz1||Rz;Rx',
    (seen, _x, y) => y === 2 && reads([], [], [1, 0])(seen, 0, 0),
    'F',
    'F',
    [7, 7],
  ),
  row(
    '3.SB',
    ring(3, (mine, next) => `W${mine}1;R${next}`),
    reads([0], [0], [0]),
    'F',
    'A',
    [7, 8],
  ),
  row(
    '6.SB',
    ring(6, (mine, next) => `W${mine}1;R${next}`),
    reads([0], [0], [0], [0], [0], [0]),
    'F',
    'A',
    [63, 64],
  ),
  row(
    '3.LB',
    ring(3, (mine, next) => `R${mine};W${next}1`),
    reads([1], [1], [1]),
    'F',
    'F',
    [7, 7],
  ),
  row('n1', 'Wx2;Ry||Wy1;Wx1||Rx;Rx', reads([0], [], [1, 2]), 'F', 'A', [18, 24]),
  row('n2', 'Wx1;Wy1||Wx2;Wz1||Rx;Rx||Rz;Ry', reads([], [], [1, 2], [1, 0]), 'A', 'A', [48, 48]),
  row('n3', 'Xx1||Wy1||Rx;Ry;Ry||Ry;Rx;Rx', reads([], [], [1, 0, 1], [1, 0, 1]), 'F', 'F', [32, 32]),
  row('n4', 'Rx;Wx1;Rx||Rx;Wx2;Rx', reads([2, 1], [1, 2]), 'F', 'F', [8, 8]),
  row('n4b', 'Rx;Wx1||Rx;Wx2', reads([2], [1]), 'F', 'F', [4, 4]),
  row('n5', 'Wx1;Rx||Wx2;Rx', reads([2], [1]), 'F', 'F', [4, 4]),
  row('n6', 'Wx1;Rx;Ry||Wy2;Wx2', (seen, x) => x === 1 && reads([1, 0])(seen, 0, 0), 'F', 'A', [4, 5]),
  row('n7', 'Wx1;Rx;Ry||Wy1||Ry;Rx', reads([1, 0], [], [1, 0]), 'F', 'A', [7, 8]),
  row('amd3', 'Wx1;Wx2;Ry||Wy1;Wy2;Rx', reads([1], [1]), 'F', 'A', [5, 9]),
  row('I8-4, one thread', 'Wx1;Rx', (seen) => seen[0]?.[0] !== 1, 'F', 'F', [1, 1]),
  row('CoMP', 'Wx1;Wx2||Rx;Rx', reads([], [2, 1]), 'F', 'F', [6, 6]),
  row('CoIRIW', 'Wx1||Wx2||Rx;Rx||Rx;Rx', reads([], [], [1, 2], [2, 1]), 'F', 'F', [72, 72]),
  row('test-and-set', 'Xx1||Xx1', reads([0], [0]), 'F', 'F', [2, 2]),
  row('test, then test-and-set', 'Rx;Xx1||Rx;Xx1', reads([0, 0], [0, 0]), 'F', 'F', [4, 4]),
];

function survey(program: string, memoryModel: MemoryModel, asked: Outcome) {
  const programs = litmus(program);
  const states = new Set<string>();
  let observed = false;
  const result = exploreBare(programs, new DporStrategy(), {
    memoryModel,
    check(memory, values) {
      const seen = values as number[][];
      if (asked(seen, memory.read32(at(0)), memory.read32(at(1)))) observed = true;
    },
    onEnd: (engine) => states.add(finalStateOf(engine, programs.length)),
  });
  expect(result.failure).to.equal(null);
  expect(result.complete).to.equal(true);
  expect(result.blocked).to.equal(0);
  return { observed, states: states.size };
}

describe('Memory models', () => {
  for (const memoryModel of ['sc', 'tso'] as const) {
    for (const { name, program, asked, states, ...verdicts } of rows) {
      const expected = verdicts[memoryModel];
      it(`${name}: ${program} ${expected ? 'shows' : 'never shows'} the outcome asked under ${memoryModel}`, () => {
        const result = survey(program, memoryModel, asked);
        expect(result.observed, 'outcome observed').to.equal(expected);
        expect(result.states, 'final states').to.equal(states[memoryModel === 'sc' ? 0 : 1]);
      });
    }
  }
});
