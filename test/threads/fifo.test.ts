/** The FIFO ABI at its full size, on worker threads. Long mode: a storm of a minute. */
import path from 'node:path';
import { expect } from 'chai';
import type { DomainResult, VcpuResult } from '../../lib/engine/run-result';
import { run, shutdownPool } from '../../lib/engine/threads';

const LONG = process.env.UPCALL_LONG === '1';
const SECONDS = 60;

describe('131,071 ports under the FIFO ABI', () => {
  after(() => shutdownPool());

  it('deliver every event of a storm of random sends', async function () {
    this.timeout(LONG ? 4 * SECONDS * 1000 : 60_000);
    const file = path.join(__dirname, 'scenarios/fifo-storm.ts');
    const args = LONG ? { sends: 0, seconds: SECONDS } : { sends: 50_000, seconds: 0 };
    const { domains, failure } = await run(file, { args, seed: 3 });
    expect(failure).to.equal(null);
    const [receiver, ...senders] = (domains[0] as DomainResult).vcpus;
    const { events, result } = receiver as VcpuResult;
    const { handled, left, ports } = result as { ports: number; handled: number; left: number };
    const sent = senders.reduce((sum, sender) => sum + (sender.result as { sent: number }).sent, 0);
    expect(ports).to.equal(131_070);
    expect(sent).to.be.at.least(100_000);
    expect(left, 'events nobody took').to.equal(0);
    // Sends to a port that is pending are one event. The senders' last events, one or two, go to a port of their own.
    expect(events - handled).to.be.within(1, senders.length);
    expect(handled).to.be.at.most(sent);
  });
});
