import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { MonitorClient } from '../../lib/engine/monitor/client';
import type { MachineReport } from '../../lib/engine/monitor/protocol';
import { stress } from '../../lib/index';
import { runScenario, scenarioFile } from './support/threads';

const EVENTS = 500;
/** Half a minute. */
const MOST_TRIES = 6000;
const PAUSE_MS = 5;

describe('the control socket of a run', () => {
  let folder: string;
  let control: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-'));
    control = path.join(folder, 's');
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  /** A client as soon as there is somebody to talk to. */
  async function client(): Promise<MonitorClient> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const connected = await MonitorClient.connect(control).catch(() => undefined);
      if (connected !== undefined) return connected;
      await setTimeout(PAUSE_MS);
    }
    throw new Error('nobody serves the socket');
  }

  /** Asks until the report is as wanted. */
  async function reportOf(onlooker: MonitorClient, wanted: (report: MachineReport) => boolean): Promise<MachineReport> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const report = await onlooker.machine(10);
      if (wanted(report)) return report;
      await setTimeout(PAUSE_MS);
    }
    throw new Error('the machine does not come to what is waited for');
  }

  for (const events of ['2l', 'fifo']) {
    it(`tells states, channels and counts while it goes on (${events})`, async () => {
      const controller = new AbortController();
      const run = runScenario('looked-at', { control, events, signal: controller.signal });
      const onlooker = await client();
      try {
        const statesOf = ({ domains: [first] }: MachineReport) => first?.vcpus.map(({ state }) => state).join();
        const report = await reportOf(onlooker, (each) => statesOf(each) === 'finished,blocked,polling');
        const [domain] = report.domains;
        const [, receiver] = domain?.vcpus ?? [];
        expect(receiver?.events).to.equal(EVENTS);
        expect(receiver?.upcalls).to.be.within(1, EVENTS);
        expect(domain?.channels.map(({ port, vcpu, edges }) => ({ port, vcpu, edges }))).to.deep.equal([
          { port: 1, vcpu: 1, edges: EVENTS },
          { port: 2, vcpu: 0, edges: 0 },
          { port: 3, vcpu: 2, edges: 0 },
        ]);
        expect(domain?.channels[1]).to.include({ remoteDomain: 7 });
        const { running = 0, blocked = 0, offline = 0 } = receiver ?? {};
        expect(running).to.be.greaterThan(0);
        expect(running + blocked + offline).to.be.within(report.elapsedNs / 2, report.elapsedNs * 2);
      } finally {
        controller.abort();
        await run;
      }
      expect(statSync(control, { throwIfNoEntry: false })).to.equal(undefined);
      const gone = await onlooker.machine(1).catch((error: Error) => error.message);
      expect(gone).to.match(/is over/);
    });
  }

  it('tells of the newest iteration under stress', async () => {
    const controller = new AbortController();
    const running = stress(scenarioFile('iterated'), { control, durationMs: 60_000, signal: controller.signal });
    const onlooker = await client();
    try {
      const report = await reportOf(onlooker, ({ iterations = 0 }) => iterations >= 10);
      expect(report).to.include({ scenario: 'iterated', engine: 'stress' });
      expect(report.domains[0]?.vcpus[1]?.upcalls).to.be.at.least(10);
      expect(report.domains[0]?.words.map(({ name }) => name)).to.deep.equal(['sum', 'ready']);
    } finally {
      controller.abort();
      expect((await running).failures).to.deep.equal([]);
      onlooker.close();
    }
  });

  it('is refused before anything starts if it cannot be made', async () => {
    const error = await runScenario('sleepers', { control: folder }).catch((thrown: Error) => thrown);
    expect(error).to.include({ code: 'CONTROL_SOCKET' });
  });
});
