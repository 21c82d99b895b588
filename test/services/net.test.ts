import path from 'node:path';
import { expect } from 'chai';
import { explore } from '../../lib';
import { run, shutdownPool } from '../../lib/engine/threads';
import type { NetCounters } from '../../lib/guest';
import { NETIF_RSP } from '../../lib/guest/net-ring';

const SCENARIO = path.join(__dirname, 'scenarios/wire.ts');
const ECHO = path.join(__dirname, '../../examples/net-echo.ts');

interface Honest {
  readonly broken: boolean;
  readonly closed: boolean;
  readonly buffer: boolean;
  readonly sending: string;
  readonly counters: NetCounters;
  readonly sizes: readonly number[];
}

async function wire(other: string) {
  const result = await run(SCENARIO, { args: { other } });
  expect(result.failure).to.equal(null);
  const [honest, hostile] = result.domains.map(({ vcpus }) => vcpus[0]?.result);
  return { honest: honest as Honest, other: hostile };
}

describe('a wire between two domains', () => {
  after(() => shutdownPool());

  it('drops frames for which there is no buffer, and counts them', async () => {
    const { honest, other } = await wire('burst');
    const { refused, dropped } = other as { refused: number; dropped: number };
    expect(refused).to.equal(dropped);
    expect(honest.sizes).to.have.length(1001 - refused);
    expect(honest.counters).to.include({ received: 1001 - refused, sent: 1, oversize: 2, bad: 0, refused: 0 });
    expect(honest.broken).to.equal(false);
  });

  it('answers requests that are no frames with an error, and counts them', async () => {
    const { honest, other } = await wire('frames');
    expect(other).to.deep.equal(new Array(5).fill(NETIF_RSP.NETIF_RSP_ERROR));
    expect(honest.counters).to.include({ received: 0, bad: 5 });
  });

  for (const manner of ['index', 'responses']) {
    it(`is of no use any more when the peer ruins a ring, and the guest lives on: ${manner}`, async () => {
      const { honest, other } = await wire(manner);
      expect(other).to.equal(1514);
      expect(honest.broken).to.equal(true);
      expect(honest.sizes).to.deep.equal([]);
    });
  }

  it('ends for the one end when the other closes: what was sent arrives, sleepers wake, sending is an error', async () => {
    const { honest, other } = await wire('closes');
    expect(honest.sizes).to.deep.equal([10, 20]);
    expect(honest).to.include({ broken: false, closed: true, buffer: false });
    expect(honest.sending).to.match(/^nothing can be sent: domain \d+ has closed the wire$/);
    expect(other).to.match(/^nothing can be sent: the wire to domain \d+ was closed by close\(\)$/);
  });

  it('loses neither a frame nor a wake-up by closing, under random schedules', async () => {
    const options = { strategy: 'pct', seed: 5, maxExecutions: 10, maxSteps: 200_000, watchdogMs: 0 } as const;
    (await explore(SCENARIO, { ...options, args: { other: 'closes' } })).assertHeld();
  });

  for (const window of [1, 8]) {
    it(`echoes every frame once and in order, ${window} under way`, async () => {
      const result = await run(ECHO, { args: { frames: 500, bytes: 1514, window } });
      expect(result.failure).to.equal(null);
    });
  }

  it('sends fewer events than frames when it is busy', async () => {
    const result = await run(ECHO, { args: { frames: 2000, bytes: 64, window: 16 } });
    const counters = result.domains[0]?.vcpus[0]?.result as { events: number; sent: number } | undefined;
    const { events, sent } = counters ?? { events: 0, sent: 0 };
    expect(sent).to.equal(2000);
    expect(events).to.be.below(2 * sent);
  });

  it('loses no frame under random schedules', async () => {
    const args = { frames: 2, bytes: 8, window: 2 };
    const options = { strategy: 'pct', seed: 4, maxExecutions: 10, maxSteps: 200_000, watchdogMs: 0 } as const;
    (await explore(ECHO, { ...options, args })).assertHeld();
  });
});
