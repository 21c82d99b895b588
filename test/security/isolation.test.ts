/** What SECURITY.md says about the code of a guest, statement by statement: what it is kept from, and what it is not. */
import path from 'node:path';
import { expect } from 'chai';
import { type RunOptions, run, shutdownPool } from '../../lib';
import { upcall } from '../cli/run-cli';

const BREAK_OUT = path.join(__dirname, 'scenarios/break-out.ts');

async function outcomeOf(attempt: string, options: RunOptions = {}): Promise<unknown> {
  const { domains, failure } = await run(BREAK_OUT, { args: { attempt }, seed: 1, ...options });
  expect(failure).to.equal(null);
  return domains[0]?.vcpus[0]?.result;
}

describe('the code of a guest', () => {
  after(() => shutdownPool());

  const KEPT_FROM: Readonly<Record<string, string>> = {
    'map the victim': 'HypercallError',
    'read past its memory': 'RangeError',
    'change its args': 'TypeError',
    'replace a hypercall': 'TypeError',
    'abort the process': 'TypeError',
    'leave the folder': 'TypeError',
  };
  for (const [attempt, error] of Object.entries(KEPT_FROM)) {
    it(`cannot ${attempt}`, async () => {
      expect(await outcomeOf(attempt)).to.equal(error);
    });
  }

  for (const attempt of ['read a file', 'read the environment', 'reach the victim']) {
    it(`can ${attempt}: it shares the process`, async () => {
      expect(await outcomeOf(attempt)).to.equal(true);
    });
  }

  it('can take memory outside the heap whose size is limited', async () => {
    expect(await outcomeOf('take memory outside the heap', { memoryLimitMb: 16 })).to.equal(64 << 20);
  });

  it('finds what an earlier guest left in the globals of the same thread, until the pool is shut down', async () => {
    await shutdownPool();
    // A vCPU each of two domains: two threads, of which the next run may use either.
    for (let i = 0; i < 4; i++) await outcomeOf('leave something behind');
    const found = new Set<unknown>();
    for (let i = 0; i < 8; i++) found.add(await outcomeOf('find something left behind'));
    expect([...found]).to.include('here');
    await shutdownPool();
    expect(await outcomeOf('find something left behind')).to.equal('nothing');
  });

  it('can end the process with a signal', async () => {
    const { status } = await upcall('run', BREAK_OUT, '--args', '{"attempt":"kill the process"}');
    expect(status).to.equal(null);
  });
});

describe('what a guest says', () => {
  it('moves no terminal’s cursor: console, log, and the message of its failure', async () => {
    const scenario = path.join(__dirname, 'scenarios/escapes.ts');
    const { status, stdout } = await upcall('run', scenario);
    expect(status).to.equal(1);
    expect(stdout).to.not.contain('\x1b');
    expect(stdout).to.contain('from the console ␛[2J').and.contain('from the log ␛[2J');
    expect(stdout).to.match(/^FAILED .*from the error ␛\[2J$/m);
    const stressed = await upcall('stress', scenario, '--iterations', '1', '--no-reconstruct');
    expect(stressed.stdout).to.not.contain('\x1b');
    expect(stressed.stdout).to.contain('from the error ␛[2J');
  });
});
