/** Frames mapped into another domain, by every engine. */
import { expect } from 'chai';
import { explore, shutdownPool, stress } from '../../lib';
import { runOnce } from '../../lib/explore/run-once';
import { runScenario, scenarioFile } from './support/threads';

const FILE = scenarioFile('grants');
const FAULTS = {
  write: /page fault: write to 0x80000000: the grant is mapped read-only$/,
  after: /page fault: read of 0x80000005: no grant is mapped there$/,
  beside: /page fault: read of 0x80001000: no grant is mapped there$/,
};

describe('a granted frame', () => {
  after(() => shutdownPool());

  const ENGINES = {
    threads: (args: unknown) => runScenario('grants', { args }),
    inline: (args: unknown) => runOnce(FILE, { engine: 'inline', args }),
    lockstep: (args: unknown) => runOnce(FILE, { engine: 'lockstep', args }),
  };
  for (const [engine, run] of Object.entries(ENGINES)) {
    it(`is one and the same memory to both domains: ${engine}`, async () => {
      const { failure, domains } = await run({ does: 'nothing' });
      expect(failure).to.equal(null);
      expect(domains.map(({ vcpus }) => vcpus[0]?.result)).to.deep.equal([10, [7, 7]]);
    });

    for (const [does, message] of Object.entries(FAULTS)) {
      it(`ends the domain that misuses it, naming the address: ${does}, ${engine}`, async () => {
        const { failure } = await run({ does });
        // Of what another thread threw the lockstep engine knows the message alone.
        expect(failure).to.include({ domain: 'user', kind: engine === 'lockstep' ? 'exception' : 'crash' });
        expect(failure?.message).to.match(message);
      });
    }

    for (const does of ['misaligned', 'sleep']) {
      it(`is no place for that: ${does}, ${engine}`, async () => {
        const { failure } = await run({ does });
        expect(failure).to.include({ domain: 'user', kind: 'exception' });
      });
    }
  }

  const ENDS = { 'shuts down': 'poweroff', throws: 'exception', 'is stuck': 'hang' };
  for (const [how, reason] of Object.entries(ENDS)) {
    it(`is given back when the domain that has mapped it ${how}`, async () => {
      const watchdogMs = how === 'is stuck' ? 300 : 30_000;
      const { domains } = await runScenario('ended-grantee', { args: { how }, watchdogMs });
      expect(domains.map(({ exit }) => exit.reason)).to.deep.equal(['completed', reason]);
      expect(domains[0]?.vcpus[0]?.result).to.equal(7);
    });
  }

  it('is as at the start of day in every iteration of a stress', async () => {
    const { failures, iterations } = await stress(FILE, { iterations: 100, seed: 3 });
    expect(failures).to.deep.equal([]);
    expect(iterations).to.equal(100);
  });

  it('faults under stress as well', async () => {
    const { failures } = await stress(FILE, { iterations: 3, args: { does: 'after' } });
    expect(failures[0]).to.include({ kind: 'crash' });
    expect(failures[0]?.message).to.match(FAULTS.after);
  });

  it('explores like any memory', async () => {
    const result = await explore(FILE, { strategy: 'random', seed: 1, maxExecutions: 50 });
    expect(result.failure).to.equal(null);
  });
});
