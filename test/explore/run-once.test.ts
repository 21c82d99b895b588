import path from 'node:path';
import { expect } from 'chai';
import { runOnce } from '../../lib/explore/run-once';

const PING_PONG = path.join(__dirname, '../../examples/ipi-ping-pong.ts');
const ADDERS = path.join(__dirname, 'parallel/scenarios/adders.ts');
const BAD_GUEST = path.join(__dirname, '../cli/scenarios/bad-guest.ts');

describe('run under a deterministic engine', () => {
  for (const engine of ['inline', 'lockstep'] as const) {
    it(`tells in the shape of a free run what one execution came to: ${engine}`, async () => {
      const result = await runOnce(PING_PONG, { engine, args: { rounds: 5 } });
      expect(result).to.include({ scenario: 'ipi-ping-pong', engine, failure: null });
      const [domain] = result.domains;
      expect(domain?.exit).to.deep.equal({ reason: 'completed' });
      for (const vcpu of domain?.vcpus ?? []) {
        expect(vcpu).to.deep.include({ result: { received: 5 }, upcalls: 5, events: 5 });
        expect(vcpu.hypercalls).to.be.greaterThan(5);
      }
    });

    it(`does the same every time: ${engine}`, async () => {
      const once = async () => ({ ...(await runOnce(PING_PONG, { engine, args: { rounds: 3 } })), elapsedMs: 0 });
      expect(await once()).to.deep.equal(await once());
    });
  }

  it('reports what fails as a free run does', async () => {
    const { domains, failure } = await runOnce(BAD_GUEST, { engine: 'inline', args: { does: 'promise' } });
    expect(failure).to.include({ kind: 'exception', domain: 'bad-guest', vcpu: 0 });
    expect(domains[0]?.exit).to.include({ reason: 'exception', vcpu: 0 });
  });

  it('ends a guest that loops without an access', async () => {
    const args = { adds: 7, does: 'loop' };
    const held = await runOnce(ADDERS, { engine: 'inline', args });
    expect(held.failure).to.equal(null);
    const stuck = await runOnce(BAD_GUEST, { engine: 'inline', args: { does: 'stuck' }, watchdogMs: 300 });
    expect(stuck.failure).to.include({ kind: 'hang', vcpu: 0 });
    expect(stuck.failure?.message).to.match(/^vCPU 0 does not come to its next step: 0\.3 s/);
  });
});
