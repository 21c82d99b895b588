/** A machine with a store: the same guests under every engine and ABI. */
import path from 'node:path';
import { expect } from 'chai';
import { defineScenario, explore, run, type ScenarioSpec, shutdownPool, stress } from '../../lib';
import { ABI_NAMES } from '../../lib/abi';
import { runOnce } from '../../lib/explore/run-once';

const DEVICES = path.join(__dirname, 'scenarios/devices.ts');
const HANDSHAKE = path.join(__dirname, 'scenarios/handshake.ts');

describe('a machine with xenstore', () => {
  after(shutdownPool);

  for (const abi of ABI_NAMES) {
    it(`serves guests of ${abi}, on threads and deterministically`, async () => {
      for (const result of [await run(HANDSHAKE, { abi }), await runOnce(HANDSHAKE, { abi, engine: 'inline' })]) {
        expect(result.failure).to.equal(null);
        expect(result.domains.map(({ name, exit }) => [name, exit.reason])).to.deep.equal([
          ['listener', 'completed'],
          ['caller', 'completed'],
          ['Domain-0', 'stopped'],
        ]);
      }
    });
  }

  it('runs in lockstep', async () => {
    expect((await runOnce(HANDSHAKE, { engine: 'lockstep' })).failure).to.equal(null);
  });

  it('is put back to its start of day by stress, the store included', async () => {
    const result = await stress(HANDSHAKE, { iterations: 100, seed: 1, chaos: true });
    expect(result.failures).to.deep.equal([]);
    expect(result.iterations).to.equal(100);
  });

  for (const strategy of ['random', 'dpor'] as const) {
    it(`holds on schedules of ${strategy}`, async () => {
      const result = await explore(HANDSHAKE, { strategy, seed: 1, maxExecutions: 40 });
      expect(result.failure).to.equal(null);
      expect(result.outcomes.map(({ results }) => results)).to.deep.equal([[1, 1]]);
    });
  }

  it('has the nodes that set-up has made, and drivers find each other by them', async () => {
    for (const result of [
      await run(DEVICES),
      await runOnce(DEVICES, { engine: 'inline' }),
      await runOnce(DEVICES, { engine: 'lockstep' }),
    ]) {
      expect(result.failure).to.equal(null);
      expect(result.domains.find(({ name }) => name === 'front')?.vcpus[0]?.result).to.equal(1);
    }
    expect((await stress(DEVICES, { iterations: 30, seed: 1, chaos: true })).failures).to.deep.equal([]);
  });

  it('tells set-up at once what it does wrongly', async () => {
    const guest = () => {};
    const make = (setup: ScenarioSpec['setup'], xenstore = true) =>
      runOnce(defineScenario({ name: 's', guest, setup, xenstore }), { engine: 'inline' });
    const message = async (made: Promise<unknown>): Promise<string> => {
      return await made.then(
        () => 'held',
        (error: Error) => error.message,
      );
    };
    expect(await message(make(({ xenstore }) => xenstore.write('/x y', 1)))).to.equal('XS_WRITE /x y: EINVAL');
    expect(await message(make(({ xenstore }) => xenstore.read('/tool/x')))).to.equal('XS_READ /tool/x: ENOENT');
    expect(await message(make(({ xenstore }) => xenstore.write('/tool/x', 'v'.repeat(5000))))).to.include('E2BIG');
    expect(await message(make(({ xenstore }) => xenstore.write('/tool/x', 1), false))).to.include('add xenstore: true');
    const fill = make(({ xenstore }) => {
      for (let i = 0; i < 40; i++) xenstore.write('/tool/x', 'v'.repeat(4000));
    });
    expect(await message(fill)).to.include('no more');
  });

  it('is refused where it is described wrongly', () => {
    const guest = () => {};
    const make = (xenstore: unknown, domains?: object) => () =>
      defineScenario({ name: 's', ...(domains === undefined ? { guest } : { domains }), xenstore } as never);
    expect(make('yes')).to.throw("xenstore must be true, false or { quota: { … } }, not 'yes'");
    expect(make({ size: 1 })).to.throw("unknown field 'size'");
    expect(make({ quota: 1 })).to.throw('must be an object');
    expect(make({ quota: { beer: 1 } })).to.throw("there is no quota 'beer'; there are nodes, watches");
    expect(make({ quota: { nodes: -1 } })).to.throw('must be an integer from 0');
    expect(make(true, { 'Domain-0': { guest } })).to.throw('name yours otherwise');
    expect(make(false, { 'Domain-0': { guest } })).not.to.throw();
  });
});
