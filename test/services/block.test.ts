import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { explore, stress } from '../../lib';
import { type RunOptions, run, shutdownPool } from '../../lib/engine/threads';
import type { BlkfrontCounters } from '../../lib/guest';

const SCENARIO = path.join(__dirname, 'scenarios/block.ts');
const EIO = -5;
const EINVAL = -22;
const EFAULT = -14;

async function front<T>(args: object, options: RunOptions = {}): Promise<T> {
  const result = await run(SCENARIO, { ...options, args });
  expect(result.failure).to.equal(null);
  return result.domains[0]?.vcpus[0]?.result as T;
}

/** What an attempt complains of. */
async function errorOf(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing';
}

describe('a block device', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'upcall-block-'));
  });
  after(() => {
    rmSync(directory, { recursive: true });
    return shutdownPool();
  });

  for (const abi of ['x86_64', 'x86_32', 'arm64']) {
    it(`holds what was written, with eight requests under way: ${abi}`, async () => {
      const { requests, requeued } = await front<BlkfrontCounters>({ rounds: 2 }, { abi });
      expect(requests).to.equal(2 * 65 + 64);
      expect(requeued).to.equal(0);
    });
  }

  it('loses no request when its back end goes and comes again, over and over', async () => {
    const { requests, requeued, connections } = await front<BlkfrontCounters>({ crashes: 10, every: 7 });
    expect(requests).to.equal(3 * 65 + 64);
    expect(connections).to.equal(11);
    expect(requeued).to.be.at.least(10);
  });

  it('loses none under stress either', async () => {
    const args = { rounds: 2, sectors: 6, depth: 3, crashes: 2, every: 3 };
    const { failures } = await stress(SCENARIO, { args, iterations: 15, seed: 3 });
    expect(failures).to.deep.equal([]);
  });

  it('loses none in the schedules that are explored', async function () {
    this.timeout(60_000);
    const args = { rounds: 1, sectors: 2, depth: 2, crashes: 1, every: 1 };
    const options = { strategy: 'pct', maxSteps: 200_000, maxExecutions: 2, seed: 1, args } as const;
    const report = await explore(SCENARIO, options);
    expect(report.failure).to.equal(null);
    expect(report.executions).to.equal(2);
  });

  it('refuses what is not on the disk, not in memory, not aligned, or not to be written', async () => {
    const results = await front({ manner: 'refusals' });
    expect(results).to.deep.equal({
      beyond: EIO,
      across: EIO,
      huge: EIO,
      negative: EINVAL,
      unaligned: EINVAL,
      none: EINVAL,
      outside: EFAULT,
      tooLong: EINVAL,
      write: EIO,
      barrier: EIO,
      last: 0,
      flush: 0,
      slots: [0, 1, -16],
      info: { sectors: 64, readOnly: true, hasBarrier: true, hasFlush: true },
      after: -19,
    });
  });

  it('answers a hostile front end with errors, closes on a lying ring, and serves the next', async () => {
    const { statuses, ...rest } = await front<{ statuses: number[] }>({ manner: 'hostile' });
    expect(statuses).to.deep.equal([-2, -2, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0]);
    expect(rest).to.deep.equal({
      inUse: false,
      error: 'there are more requests than entries',
      isFree: true,
      next: 0,
    });
  });

  it('takes answers in any order', async () => {
    expect(await front({ manner: 'reversed' })).to.deep.equal({ results: [0, EIO], broken: false, after: 0 });
  });

  it('is of no use any more when its back end lies, and the guest lives on', async () => {
    expect(await front({ manner: 'lies' })).to.deep.equal({ results: [EIO, EIO], broken: true, after: EIO });
  });

  describe('with a file', () => {
    it('makes it, and has written there what was flushed', async () => {
      const file = path.join(directory, 'disk.img');
      await front({ crashes: 3 }, { disks: { vda: file } });
      expect(statSync(file).size).to.equal(64 * 512);
      const made = readFileSync(file);
      await front({ rounds: 1 }, { disks: { vda: file } });
      expect(readFileSync(file).equals(made)).to.equal(false);
      await front({ rounds: 3 }, { disks: { vda: file } });
      expect(readFileSync(file).equals(made)).to.equal(true);
    });

    it('says what is wrong with it', async () => {
      const short = path.join(directory, 'short.img');
      writeFileSync(short, 'x');
      const folder = path.join(directory, 'folder');
      mkdirSync(folder);
      const absent = path.join(directory, 'absent/disk.img');
      const complaint = (disks: Record<string, string>) => errorOf(() => run(SCENARIO, { disks }));
      const vda = "domain 'driver', disk 'vda'";
      expect(await complaint({ vda: short })).to.equal(`${vda}: ${short} has 1 bytes, and 64 sectors have 32768`);
      expect(await complaint({ vda: folder })).to.equal(`${vda}: ${folder} is no file`);
      expect(await complaint({ vda: absent })).to.equal(`${vda}: ${absent} cannot be opened: ENOENT`);
      const cdrom = path.join(directory, 'none.iso');
      expect(await complaint({ cdrom })).to.equal(`domain 'driver', disk 'cdrom': ${cdrom} does not exist`);
      expect(await complaint({ vdb: short })).to.equal("scenario 'block' has no disk 'vdb': there are vda, cdrom");
    });
  });
});
