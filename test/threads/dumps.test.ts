import path from 'node:path';
import { expect } from 'chai';
import { formatDump } from '../../lib/engine/snapshot/dump';
import type { Dump } from '../../lib/engine/snapshot/dump-file';
import { parseDump } from '../../lib/engine/snapshot/dump-file';
import { recordRun } from '../../lib/explore/record-run';
import type { RunOptions, RunResult } from '../../lib/index';
import { stress } from '../../lib/index';
import { runScenario, scenarioFile } from './support/threads';

interface Ended {
  readonly dumps: readonly Dump[];
  readonly result: RunResult;
}

async function ended(scenario: string, options: RunOptions = {}): Promise<Ended> {
  const dumps: Dump[] = [];
  const result = await runScenario(scenario, { ...options, onDump: (dump) => dumps.push(dump) });
  return { dumps, result };
}

/** The states of the victim's vCPUs when it failed; vCPU 0 sleeps, vCPU 2 spins, vCPU 1 fails. */
const FAULTS: readonly { readonly fault: string; readonly options?: RunOptions }[] = [
  { fault: 'throws' },
  { fault: 'asserts' },
  { fault: 'crashes' },
  { fault: 'takes an upcall without callback' },
  { fault: 'never yields', options: { watchdogMs: 300 } },
  { fault: 'runs out of memory', options: { memoryLimitMb: 16 } },
  { fault: 'exits the process' },
];

describe('the dump of a run', () => {
  for (const { fault, options } of FAULTS) {
    it(`shows each vCPU as it was when a guest ${fault}`, async () => {
      const { dumps, result } = await ended('faults', { args: { fault }, ...options });
      expect(dumps).to.have.length(1);
      const [dump] = dumps as [Dump];
      expect(dump.failure).to.include({ kind: result.failure?.kind, message: result.failure?.message });
      const [victim, bystander] = dump.domains;
      // The first is about to sleep, or sleeps already.
      expect(victim?.vcpus.map(({ state }) => state).join()).to.match(/^(blocked|running),running,running$/);
      expect(victim?.words).to.deep.include({ name: 'ready', address: 0x3000, value: 2 });
      expect(victim?.exit?.reason).to.equal(result.failure?.kind);
      expect(bystander?.exit?.reason).to.equal('completed');
      expect(dump.lastAccesses).to.equal(null);
      expect(parseDump(formatDump(dump), 'd')).to.deep.equal(dump);
    });
  }

  it('is in the exit in short form', async () => {
    const { result } = await ended('sleepers');
    expect(result.domains[0]?.exit.state).to.deep.equal({
      vcpus: [
        { id: 0, state: 'blocked', upcallPending: false, upcallMasked: false },
        { id: 1, state: 'polling', pollPort: 1, upcallPending: false, upcallMasked: true },
        { id: 2, state: 'finished', upcallPending: false, upcallMasked: true },
      ],
      channels: 1,
      pending: '',
      pendingMasked: '',
      locks: [],
    });
  });

  it('is none, and the exit has no state, when all ended well', async () => {
    const { dumps, result } = await ended('faults', { args: { fault: 'powers off' } });
    expect(dumps).to.deep.equal([]);
    for (const { exit } of result.domains) expect(exit).not.to.have.property('state');
  });

  it('comes of a failing check too', async () => {
    const { dumps } = await ended('facts', { args: { fail: 'check' } });
    expect(dumps.map(({ failure }) => failure.kind)).to.deep.equal(['check']);
  });

  it('has the last accesses of a run that was recorded, words of the FIFO ABI by their names', async () => {
    const dumps: Dump[] = [];
    const scenario = path.join(__dirname, '../cli/scenarios/fifo-lost-event.ts');
    await recordRun(scenario, { onDump: (dump) => dumps.push(dump) });
    const accesses = dumps[0]?.lastAccesses?.[0]?.accesses.join('\n');
    expect(accesses).to.match(/or32 event_array\[1\]\.LINKED/);
    expect(accesses).to.match(/write32 control_block\[0\]\.head\[7\]: 0 → 1/);
    expect(dumps).to.have.length(1);
  });

  it('shows the iteration that failed under stress, with the last accesses', async () => {
    const dumps: Dump[] = [];
    const options = { iterations: 1000, reconstruct: false, args: { sleep: 3 } };
    await stress(scenarioFile('sleepers'), { ...options, onDump: (dump) => dumps.push(dump) });
    const [dump] = dumps as [Dump];
    expect(dump.failure.kind).to.equal('deadlock');
    expect(dump.domains[0]?.vcpus.map(({ state }) => state)).to.deep.equal(['blocked', 'polling', 'finished']);
    expect(dump.lastAccesses?.map(({ accesses }) => accesses.at(-1))).to.match(/SCHEDOP_block \{.*SCHEDOP_poll \{/);
  });
});
