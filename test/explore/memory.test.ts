import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import type { Strategy } from '../../lib/engine/inline/strategy';
import { DfsStrategy } from '../../lib/explore/dfs';
import { DporStrategy } from '../../lib/explore/dpor';
import { PctStrategy } from '../../lib/explore/pct';
import { PosStrategy } from '../../lib/explore/pos';
import { RandomStrategy } from '../../lib/explore/random';
import { type Bare, exploreBare } from './support/bare';

const LONG = process.env.UPCALL_LONG === '1';
const [FEW, MANY] = LONG ? [100_000, 1_000_000] : [10_000, 50_000];
/** What the bounded tables of the engine may still grow by: the cache of histories alone has room for 16 MiB. */
const SLACK_BYTES = 24 * 2 ** 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Three programs whose executions are too many to be exhausted: 12!/(4!)^3 traces times choices. */
const programs: readonly Bare[] = Array.from({ length: 3 }, (_, program) => (memory, engine) => {
  let seen = 0;
  for (let add = 0; add < 5; add++) seen = (seen * 3 + memory.add32(0, program + 1)) % 7;
  return seen + engine.choose(4);
});

/** Heap and buffers in use when so many executions have been made, the garbage taken away. */
function usedAt(strategy: Strategy, marks: readonly number[]): number[] {
  const used: number[] = [];
  let executions = 0;
  exploreBare(programs, strategy, {
    maxExecutions: marks.at(-1),
    onEnd() {
      if (!marks.includes(++executions)) return;
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      used.push(heapUsed + arrayBuffers);
    },
  });
  return used;
}

describe('the memory of a search', () => {
  const STRATEGIES: readonly (() => Strategy)[] = [
    () => new DporStrategy(),
    () => new DfsStrategy(),
    () => new RandomStrategy(1),
    () => new PctStrategy(3, 1),
    () => new PosStrategy(1),
  ];
  for (const make of STRATEGIES) {
    it(`does not grow with the number of executions: ${make().name}`, () => {
      const [few, many] = usedAt(make(), [FEW, MANY]);
      expect((many as number) - (few as number)).to.be.lessThan(SLACK_BYTES);
      if (LONG) process.stdout.write(`${make().name}: ${few} bytes after ${FEW}, ${many} after ${MANY}\n`);
    }).timeout(LONG ? 600_000 : 60_000);
  }
});
