import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import type { RunProgress } from '../../lib/index';
import { runScenario } from './support/threads';

describe('the end of a run', () => {
  it('is a deadlock, with who waits for what, when nothing can wake anybody', async () => {
    const { domains, failure } = await runScenario('sleepers');
    const message =
      'vCPU 0 blocked in SCHEDOP_block; vCPU 1 blocked in SCHEDOP_poll on port 1, and nothing is left that could wake it';
    expect(domains[0]?.exit).to.include({ reason: 'deadlock', message });
    expect(failure).to.deep.equal({ kind: 'deadlock', message, domain: 'sleepers' });
    expect(domains[0]?.vcpus[2]?.result).to.equal('done');
  });

  it('comes by its signal if it shall wait in a deadlock', async () => {
    const controller = new AbortController();
    const { domains, failure } = await runScenario('sleepers', {
      onDeadlock: 'wait',
      signal: controller.signal,
      onProgress: ({ domains: [domain] }: RunProgress) => {
        const states = domain!.vcpus.map(({ state }) => state).join();
        if (states === 'blocked,blocked,finished') controller.abort();
      },
    });
    expect(domains[0]?.exit).to.include({ reason: 'aborted', message: 'aborted' });
    expect(failure?.kind).to.equal('aborted');
  });

  it('comes at once for a signal that was given before', async () => {
    const { domains } = await runScenario('sleepers', { onDeadlock: 'wait', signal: AbortSignal.abort() });
    expect(domains[0]?.exit.reason).to.equal('aborted');
  });

  for (const fault of ['never yields', 'spins for ever', 'asserts and swallows']) {
    it(`comes by its signal when a guest ${fault}`, async () => {
      const controller = new AbortController();
      const run = runScenario('faults', { args: { fault }, watchdogMs: 0, signal: controller.signal });
      for (let i = 0; i < 100; i++) await setImmediate();
      controller.abort();
      const { domains } = await run;
      expect(domains[0]?.exit.reason).to.be.oneOf(['aborted', 'assertion']);
    });
  }

  it('is a failure when check throws, with the line that threw', async () => {
    const { failure, domains } = await runScenario('facts', { args: { fail: 'check' } });
    expect(failure).to.include({ kind: 'check', message: 'check: check failed' });
    expect(failure?.cause?.stack).to.match(/facts\.ts:\d+:/);
    expect(domains[0]?.exit.reason).to.equal('completed');
  });

  it('comes before the start when set-up throws', async () => {
    const failed = await runScenario('facts', { args: { fail: 'setup' } }).then(
      () => undefined,
      (error) => error,
    );
    expect(failed).to.include({
      code: 'SCENARIO_THROWS',
      message: "scenario 'facts': setup throws: Error: set-up failed",
    });
  });
});
