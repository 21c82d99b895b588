import { expect } from 'chai';
import { runScenario } from './support/threads';

const DEAD = /no-dead-port: port 1 is pending and not masked, and evtchn_upcall_pending of vCPU 0/;

describe('invariants in a free run', () => {
  it('are looked at when every guest has ended', async () => {
    const { failure } = await runScenario('dead-port');
    expect(failure?.kind).to.equal('invariant');
    expect(failure?.message).to.match(DEAD);
  });

  it('explain a deadlock', async () => {
    const { failure } = await runScenario('dead-port', { args: { sleeps: true } });
    expect(failure?.kind).to.equal('deadlock');
    expect(failure?.message).to.match(DEAD);
  });
});
