import { AsyncLocalStorage } from 'node:async_hooks';
import path from 'node:path';
import { expect } from 'chai';
import { exploreScenario } from '../../../lib/explore/explore';
import type { ExploreOptions } from '../../../lib/explore/options';
import { replay } from '../../../lib/explore/replay';
import type { ExploreReport } from '../../../lib/explore/result';
import { makeUnreachable } from './scenarios/unreachable';

const ADDERS = path.join(__dirname, 'scenarios/adders.ts');

function explore(args: unknown, options: ExploreOptions): Promise<ExploreReport> {
  return exploreScenario(ADDERS, { args, ...options });
}

/** What does not depend on how fast it went, or on who was first. */
function essence({ executions, blocked, complete, incomplete, outcomes, covered }: ExploreReport) {
  const ends = outcomes.map(({ results, count }) => `${results} ${count}`).sort();
  return { executions, blocked, complete, incomplete, ends, covered };
}

describe('explore on several threads', () => {
  for (const strategy of ['dpor', 'dfs'] as const) {
    it(`explores the same space by ${strategy} as one thread does`, async () => {
      const args = { adds: strategy === 'dpor' ? 4 : 2 };
      const alone = await explore(args, { strategy });
      expect(alone).to.include({ complete: true, workers: 1 });
      for (const workers of [2, 3]) {
        const together = await explore(args, { strategy, workers });
        expect(together.workers).to.equal(workers);
        expect(essence(together)).to.deep.equal(essence(alone));
      }
    }).timeout(60_000);
  }

  for (const strategy of ['random', 'pct', 'pos'] as const) {
    it(`makes the same executions by ${strategy}, of the same seed, whatever the number of threads`, async () => {
      const options = { strategy, seed: 7, maxExecutions: 10_000 } as const;
      const [one, two, three] = await Promise.all(
        [undefined, 2, 3].map((workers) => explore({ adds: 3 }, { ...options, workers })),
      );
      expect(two?.outcomes).to.deep.equal(one?.outcomes);
      expect(three?.outcomes).to.deep.equal(one?.outcomes);
      expect(essence(two as ExploreReport)).to.deep.equal(essence(one as ExploreReport));
    }).timeout(60_000);
  }

  it('reports the failure that comes first of all executions of a random strategy', async () => {
    const options = { strategy: 'random', seed: 3, maxExecutions: 100_000 } as const;
    const args = { adds: 4, bug: true };
    const [one, two] = await Promise.all([undefined, 2].map((workers) => explore(args, { ...options, workers })));
    expect(one?.failure).to.include({ kind: 'assertion' });
    expect(two?.executions).to.equal(one?.executions);
    expect(two?.failure?.token).to.equal(one?.failure?.token);
  }).timeout(60_000);

  it('finds what fails, and says what replays it', async () => {
    const args = { adds: 3, bug: true };
    const { failure, complete } = await explore(args, { workers: 2 });
    expect(complete).to.equal(false);
    expect(failure).to.include({ kind: 'assertion', message: 'six before the second' });
    const replayed = await replay(ADDERS, failure?.token as string, { args });
    expect(replayed.failure).to.include({ kind: 'assertion', message: 'six before the second' });
  });

  it('counts executions up to the limit and no further', async () => {
    const result = await explore({ adds: 4 }, { workers: 2, maxExecutions: 5000 });
    expect(result).to.include({ executions: 5000, incomplete: 'the limit of 5000 executions was reached' });
  });

  it('ends when its signal says so', async () => {
    const controller = new AbortController();
    const onProgress = ({ executions }: { executions: number }): void => {
      if (executions > 0) controller.abort();
    };
    const result = await explore({ adds: 8 }, { workers: 2, signal: controller.signal, onProgress });
    expect(result).to.include({ failure: null, incomplete: 'the search was interrupted' });
    expect(result.executions).to.be.greaterThan(0);
    expect(result.estimate?.bound).to.equal('at least');
  });

  it('outlives a guest that loops in a process that follows promises', async () => {
    const followed = new AsyncLocalStorage<number>();
    await followed.run(7, async () => {
      const { failure } = await explore({ adds: 3, does: 'loop' }, { watchdogMs: 200 });
      expect(failure?.kind).to.equal('livelock');
      // Another turn of the event loop, at whose end Node.js looks at its books.
      await new Promise(setImmediate);
      expect(followed.getStore()).to.equal(7);
    });
  });

  for (const workers of [undefined, 1]) {
    for (const [does, kind, message] of [
      ['loop', 'livelock', /^vCPU 2 does not come to its next step: 0\.2 s in a loop without an access/],
      ['wait', 'livelock', /^vCPU 2 does not come to its next step: 0\.2 s/],
      ['exit', 'crash', /^process\.exit\(0\) called in a guest/],
    ] as const) {
      it(`outlives a guest that misbehaves, and says which: ${does}, ${workers ?? 'no'} worker`, async () => {
        const args = { adds: 3, does };
        const { failure } = await explore(args, { workers, watchdogMs: 200 });
        expect(failure).to.include({ kind, actor: 'vCPU 2' });
        expect(failure?.message).to.match(message);
        expect(failure?.trace.steps.at(-1)?.actor).to.equal(2);
        const replayed = await replay(ADDERS, failure?.token as string, { args, watchdogMs: 200 });
        expect(replayed.failure).to.include({ kind, actor: 'vCPU 2' });
      });
    }
  }

  it('says in one line that a scenario cannot be reached from another thread', async () => {
    const error = await exploreScenario(makeUnreachable(), { workers: 2 }).catch((thrown: Error) => thrown);
    expect((error as Error).message).to.match(/^[^\n]*worker threads cannot reach this scenario[^\n]*$/);
  });
});
