/** Daemon domains: nobody waits for them, but they finish what they have been asked, under every engine. */
import path from 'node:path';
import { expect } from 'chai';
import { defineScenario, explore, replay, run, shutdownPool, stress } from '../../lib';
import { runOnce } from '../../lib/explore/run-once';

const SCENARIO = path.join(__dirname, 'scenarios/daemon.ts');
const serving = { first: 'serve', answer: true };
/** The client ends before the server has looked. */
const unanswered = { first: 'serve', answer: false };

describe('daemon domains', () => {
  after(shutdownPool);

  for (const args of [serving, unanswered]) {
    const when = args.answer ? 'when the others have ended' : 'after it has finished what it was asked';

    it(`a free run stops a daemon ${when}`, async () => {
      const result = await run(SCENARIO, { args });
      expect(result.failure).to.equal(null);
      expect(result.domains.map(({ name, exit }) => [name, exit.reason])).to.deep.equal([
        ['server', 'stopped'],
        ['client', 'completed'],
      ]);
    });

    for (const engine of ['inline', 'lockstep'] as const) {
      it(`${engine} stops a daemon ${when}`, async () => {
        const result = await runOnce(SCENARIO, { args, engine });
        expect(result.failure).to.equal(null);
        expect(result.domains.map(({ exit }) => exit.reason)).to.deep.equal(['stopped', 'completed']);
      });
    }

    it(`stress resets a daemon ${when}`, async () => {
      const result = await stress(SCENARIO, { args, iterations: 200, seed: 1, chaos: true });
      expect(result.failures).to.deep.equal([]);
      expect(result.iterations).to.equal(200);
    });

    it(`every interleaving of a daemon is explored, ${when}`, async () => {
      const result = await explore(SCENARIO, { args, hypercalls: 'atomic' });
      expect(result.failure).to.equal(null);
      expect(result.complete, result.incomplete ?? '').to.equal(true);
      // What the daemon does is no part of an outcome.
      expect(result.outcomes.every(({ results }) => results.length === 1)).to.equal(true);
    });

    it(`random schedules end ${when}`, async () => {
      const result = await explore(SCENARIO, { args, strategy: 'random', seed: 1, maxExecutions: 300 });
      expect(result.failure).to.equal(null);
    });
  }

  it('a deadlock of the others is found while the daemon sleeps', async () => {
    const args = { first: 'sleep', answer: true };
    const free = await run(SCENARIO, { args });
    expect(free.failure).to.deep.include({ kind: 'deadlock', domain: 'client' });
    const explored = await explore(SCENARIO, { args, strategy: 'random', seed: 1 });
    expect(explored.failure?.kind).to.equal('deadlock');
    expect(explored.failure?.message).to.include('client/vCPU 0').and.not.include('server/vCPU 0');
    for (const engine of ['inline', 'lockstep'] as const) {
      expect((await replay(SCENARIO, explored.failure!.token, { args, engine })).failure?.kind).to.equal('deadlock');
    }
    const [stressed] = (await stress(SCENARIO, { args, iterations: 10, reconstruct: false })).failures;
    expect(stressed).to.deep.include({ kind: 'deadlock' });
    expect(stressed?.message).to.include('client').and.not.include('server');
  });

  it('a daemon that fails fails the run', async () => {
    const args = { first: 'throw', answer: true };
    expect((await run(SCENARIO, { args })).failure).to.deep.include({ kind: 'exception', domain: 'server' });
    expect((await explore(SCENARIO, { args })).failure).to.deep.include({ kind: 'crash' });
    const [stressed] = (await stress(SCENARIO, { args, iterations: 10, reconstruct: false })).failures;
    expect(stressed).to.deep.include({ kind: 'crash', domain: 'server' });
  });

  it('is refused to a scenario in which nobody is left to wait for', () => {
    const guest = () => {};
    expect(() => defineScenario({ name: 'one', daemon: true, guest })).to.throw('has to be one that is no daemon');
    expect(() => defineScenario({ name: 'all', domains: { a: { daemon: true, guest } } })).to.throw('no daemon');
  });
});
