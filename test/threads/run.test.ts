import { expect } from 'chai';
import { defineScenario, type OutputLine, type RunResult, run } from '../../lib/index';
import factsScenario, { other } from './scenarios/facts';
import { runScenario } from './support/threads';

interface Facts {
  readonly threadId: number;
  readonly evaluations: number;
  readonly random: readonly number[];
  readonly args: unknown;
  readonly frozen: boolean;
}

const facts = (result: RunResult) => result.domains[0]!.vcpus.map((vcpu) => vcpu.result as Facts);

describe('run', () => {
  it('gives a result of the documented shape', async () => {
    const result = await runScenario('facts', { seed: 7 });
    expect(result).to.have.all.keys('scenario', 'engine', 'elapsedMs', 'seed', 'domains', 'failure');
    expect(result).to.include({ scenario: 'facts', engine: 'threads', seed: 7, failure: null });
    const [domain] = result.domains;
    expect(domain).to.have.all.keys('id', 'name', 'exit', 'vcpus');
    for (const vcpu of domain!.vcpus) {
      expect(vcpu).to.have.all.keys('id', 'result', 'upcalls', 'hypercalls', 'events', 'blockedNs', 'runningNs');
    }
    expect(JSON.parse(JSON.stringify(result))).to.deep.equal(result);
  });

  it('gives each vCPU a thread of its own, and the next run the same threads', async () => {
    const [first, second] = [await runScenario('facts'), await runScenario('facts')].map((result) =>
      facts(result).map(({ threadId }) => threadId),
    );
    expect(new Set(first)).to.have.lengthOf(2);
    // The thread that served the first run's timer may take a place.
    expect(second!.some((id) => first!.includes(id))).to.equal(true);
  });

  it('calibrates its clocks while it runs, and vCPUs that are switched in publish that', async () => {
    const result = await runScenario('long-lived');
    expect(result.domains[0]!.vcpus[0]!.result).to.deep.equal({ published: 2, inOrder: true });
  });

  it('evaluates the scenario anew for each vCPU and run', async () => {
    for (let i = 0; i < 3; i++) {
      expect(facts(await runScenario('facts')).map(({ evaluations }) => evaluations)).to.deep.equal([1, 1]);
    }
  });

  it('repeats random numbers by the seed, differently for each vCPU', async () => {
    const [first, again, another] = [
      await runScenario('facts', { seed: 1 }),
      await runScenario('facts', { seed: 1 }),
      await runScenario('facts', { seed: 2 }),
    ].map((result) => facts(result).map(({ random }) => random));
    expect(again).to.deep.equal(first);
    expect(another).to.not.deep.equal(first);
    expect(first![0]).to.not.deep.equal(first![1]);
  });

  it('hands the args to guests, frozen', async () => {
    const [first] = facts(await runScenario('facts', { args: { fail: '', list: [1] } }));
    expect(first).to.deep.include({ args: { fail: '', list: [1] }, frozen: true });
  });

  it('takes what defineScenario returned, and finds the same one in its threads', async () => {
    expect((await run(factsScenario)).failure).to.equal(null);
    const result = await run(other);
    expect(result.domains[0]).to.deep.include({ name: 'other' });
    expect(result.domains[0]?.vcpus[0]?.result).to.equal('the other');
  });

  it('says what to do when threads cannot reach a scenario', async () => {
    const unreachable = defineScenario({ name: 'unreachable', guest() {} });
    const { failure } = await run(unreachable);
    expect(failure?.message).to.match(/describe is not defined|export it/);
  });

  it('keeps runs apart that go on at the same time', async () => {
    const runs = [1, 2, 3].map((n) => {
      const lines: string[] = [];
      return runScenario('printer', {
        vcpus: n,
        args: { lines: 50 },
        onLog: ({ text }) => lines.push(text),
      }).then((result) => ({ n, result, lines }));
    });
    for (const { n, result, lines } of await Promise.all(runs)) {
      expect(result.failure).to.equal(null);
      expect(lines).to.have.lengthOf(50 * n);
    }
  });

  it('hands over every line of console and log, whole and in order', async () => {
    const console: OutputLine[] = [];
    const log: OutputLine[] = [];
    await runScenario('printer', { onConsole: (line) => console.push(line), onLog: (line) => log.push(line) });
    for (let id = 0; id < 3; id++) {
      const own = ({ vcpu }: OutputLine) => vcpu === id;
      const lines = Array.from({ length: 2000 }, (_, line) => `vCPU ${id} line ${line} über`);
      expect(console.filter(own).map(({ text }) => text)).to.deep.equal([...lines, 'no newline']);
      expect(log.filter(own).map(({ text }) => text)).to.deep.equal(lines.map((_, line) => `line ${line}`));
    }
  });

  for (const callback of ['onConsole', 'onLog', 'onProgress'] as const) {
    it(`ends the run and rejects when ${callback} throws`, async () => {
      const error = new Error('in the callback');
      const thrown = await runScenario('sleepers-that-talk', {
        onDeadlock: 'wait',
        [callback]: () => {
          throw error;
        },
      }).catch((reason) => reason);
      expect(thrown).to.equal(error);
    });
  }

  for (const [options, message] of [
    [{ watchdogMs: -1 }, /watchdogMs must be/],
    [{ seed: 0.5 }, /seed must be an integer/],
    [{ onDeadlock: 'panic' }, /onDeadlock must be/],
    [{ memoryLimitMb: 1 }, /memoryLimitMb must be at least 8/],
    [{ vcpus: 0 }, /vcpus must be an integer from 1 to 128/],
    [{ abi: 'mips' }, /unknown ABI 'mips'/],
  ] as const) {
    it(`rejects ${JSON.stringify(options)}`, async () => {
      const error = await runScenario('facts', options as any).then(
        () => undefined,
        (thrown) => thrown,
      );
      expect(error).to.include({ code: 'SCENARIO_OPTION' });
      expect(error.message).to.match(message);
    });
  }
});
