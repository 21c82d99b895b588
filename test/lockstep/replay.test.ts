/** Tokens found by exploration, replayed on threads through the public API and the command line's process. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect } from 'chai';
import { lockstepSwitchNs } from '../../lib/engine/lockstep/switch-cost';
import { replay } from '../../lib/explore/replay';
import { explore } from '../../lib/report/explore-result';

const ROOT = path.join(__dirname, '../..');
const RACES = path.join(ROOT, 'examples/races');
const FAILING = [
  { file: 'r01-unmask-without-second-look', memoryModel: 'sc' },
  { file: 'r03-unmask-without-barrier', memoryModel: 'tso' },
  { file: 'r11-upcall-between-enable-and-leave', memoryModel: 'sc' },
  { file: 'r40-torn-wallclock', memoryModel: 'sc' },
] as const;

describe('Replay on threads', () => {
  for (const { file, memoryModel } of FAILING) {
    it(`fails as exploration found ${file} to fail`, async () => {
      const scenario = path.join(RACES, `${file}.ts`);
      const { failure } = await explore(scenario, { memoryModel, maxExecutions: 5000 });
      const token = failure?.token as string;
      const inline = await replay(scenario, token);
      const onThreads = await replay(scenario, token, { engine: 'lockstep' });
      expect(onThreads.engine).to.equal('lockstep');
      expect(onThreads.failure).to.deep.equal(inline.failure).and.to.have.property('kind', failure?.kind);
      expect(onThreads.trace).to.deep.equal(inline.trace);
      expect(onThreads.results).to.deep.equal(inline.results);
    });
  }

  it('holds where an outcome was found to hold', async () => {
    const scenario = path.join(RACES, 'r01-unmask-without-second-look.ts');
    const args = { variant: 'fixed' };
    const { outcomes } = await explore(scenario, { args });
    const { failure, results, followed } = await replay(scenario, outcomes[0]?.token as string, {
      args,
      engine: 'lockstep',
    });
    expect({ failure, followed }).to.deep.equal({ failure: null, followed: true });
    expect(results).to.deep.equal(outcomes[0]?.results);
  });

  it('rejects when aborted', async () => {
    const scenario = path.join(RACES, 'r01-unmask-without-second-look.ts');
    const { failure } = await explore(scenario, {});
    const signal = AbortSignal.abort(new Error('enough'));
    const error = await replay(scenario, failure?.token as string, { engine: 'lockstep', signal }).catch(
      (e: Error) => e,
    );
    expect(error).to.have.property('message', 'enough');
  });

  it('says which engines there are when asked for another', async () => {
    const scenario = path.join(RACES, 'r01-unmask-without-second-look.ts');
    const error = await replay(scenario, 'u1-x', { engine: 'threads' as 'lockstep' }).catch((e: Error) => e);
    expect(error).to.have.property('message', "unknown engine 'threads': there are inline, lockstep");
  });

  it('lets the process exit by itself', async () => {
    const scenario = path.join(RACES, 'r01-unmask-without-second-look.ts');
    const { failure } = await explore(scenario, {});
    const main = path.join(ROOT, 'dist/lib/cli/main.js');
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [main, 'replay', scenario, failure?.token as string, '--engine', 'lockstep', '--json'],
      { encoding: 'utf8', timeout: 30_000 },
    );
    expect(stderr).to.equal('');
    expect(status).to.equal(1);
    expect(JSON.parse(stdout)).to.deep.include({ engine: 'lockstep', failure: { ...JSON.parse(stdout).failure } });
    expect(JSON.parse(stdout).failure.kind).to.equal(failure?.kind);
  });
});

describe('The cost of a switch', () => {
  for (const vcpus of [1, 2, 4]) {
    it(`is measured with ${vcpus} vCPUs`, async () => {
      expect(await lockstepSwitchNs(vcpus, 1)).to.be.greaterThan(0);
    });
  }
});
