import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { scenarioFile } from '../threads/support/threads';
import { upcall } from './run-cli';

describe('upcall inspect', () => {
  let folder: string;
  const file = (name: string): string => path.join(folder, name);

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'upcall-'));
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  async function inspected(name: string): Promise<string> {
    const { status, stdout, stderr } = await upcall('inspect', file(name));
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    return stdout;
  }

  it("lists a run's channels as Xen's debug key e does", async () => {
    const run = await upcall('run', scenarioFile('sleepers'), '--dump', file('run.json'));
    expect(run.status).to.equal(1);
    expect(run.stdout).to.match(/\ndump written: upcall inspect [^\n]*run\.json\n$/);
    expect(statSync(file('run.json')).mode & 0o777).to.equal(0o600);
    const text = await inspected('run.json');
    expect(text).to.contain(
      'Event channel information for domain 1:\nPolling vCPUs: {1}\n    port [p/m/s]\n       1 [0/0/0]: s=6 n=1 x=0  IPI\n',
    );
    expect(text).to.match(/VCPU0: blocked poll=0 upcall_pend=00 upcall_mask=00\n/);
    expect(text).to.match(/VCPU1: polling poll=1 upcall_pend=00 upcall_mask=01\n/);
    expect(text).to.match(/\nLast accesses: none were recorded \(run --record does\)\n$/);
  });

  it('names the words of the FIFO ABI', async () => {
    const scenario = path.join(__dirname, 'scenarios', 'fifo-lost-event.ts');
    expect((await upcall('explore', scenario, '--dump', file('fifo.json'))).status).to.equal(1);
    const text = await inspected('fifo.json');
    expect(text).to.contain('       1 [1/0/  0   ]: s=6 n=0 x=0  IPI\n');
    expect(text).to.contain('control_block[0].ready = 0x80 queue 7\n');
    expect(text).to.contain('control_block[0].head[7] = 1, tail 1: event_array[1].LINKED\n');
    expect(text).to.contain('event_array[1] = PENDING,LINKED  priority 7\n');
    expect(text).to.match(/Last accesses of fifo-lost-event VCPU0 \(\d+ before.*or8 event_array\[1\]\.LINKED/s);
  });

  it('shows what a deterministic run left behind, as one object on request', async () => {
    const args = ['--engine', 'inline', '--dump', file('inline.json')];
    expect((await upcall('run', scenarioFile('sleepers'), ...args)).status).to.equal(1);
    expect(await inspected('inline.json')).to.match(/VCPU1: polling poll=1/);
    const { stdout } = await upcall('inspect', file('inline.json'), '--json');
    expect(JSON.parse(stdout)).to.deep.equal(JSON.parse(readFileSync(file('inline.json'), 'utf8')));
  });

  it('writes no dump of a run that held', async () => {
    const { status, stdout } = await upcall('run', 'ipi-ping-pong', '--dump', file('held.json'));
    expect({ status, exists: statSync(file('held.json'), { throwIfNoEntry: false }) }).to.deep.equal({
      status: 0,
      exists: undefined,
    });
    expect(stdout).not.to.contain('dump');
  });

  const damaged: readonly [what: string, make: (name: string) => void, message: RegExp][] = [
    ['a file that does not exist', () => {}, /cannot read the dump: ENOENT/],
    [
      'half a dump',
      (name) => writeFileSync(name, '{"format":"upcall-dump","version":1,"scen'),
      /is a dump that was cut off/,
    ],
    [
      'a huge file',
      (name) => {
        writeFileSync(name, '');
        truncateSync(name, 2 ** 40);
      },
      /has 1048576 MiB: no dump is as large/,
    ],
  ];
  for (const [what, make, message] of damaged) {
    it(`answers ${what} with one line and status 2`, async () => {
      const name = file(`${what.replaceAll(' ', '-')}.json`);
      make(name);
      const { status, stdout, stderr } = await upcall('inspect', name);
      expect({ status, stdout }).to.deep.equal({ status: 2, stdout: '' });
      expect(stderr)
        .to.match(/^upcall: [^\n]+\n$/)
        .and.match(message);
    });
  }

  it('and --dump answer a folder with one line and status 2', async () => {
    for (const args of [
      ['inspect', folder],
      ['run', scenarioFile('sleepers'), '--dump', folder],
    ]) {
      const { status, stderr } = await upcall(...args);
      expect(status).to.equal(2);
      expect(stderr).to.match(/^upcall: [^\n]+\n$/);
    }
  });
});
