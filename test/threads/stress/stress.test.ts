import path from 'node:path';
import { expect } from 'chai';
import { poolThreads } from '../../../lib/engine/threads';
import {
  type StressFailureKind,
  type StressOptions,
  type StressResult,
  shutdownPool,
  stress,
} from '../../../lib/index';
import { scenarioFile } from '../support/threads';

const RACES = path.join(__dirname, '../../../examples/races');
/** Far longer than any of them takes. */
const ENOUGH_MS = 60_000;

function failing(fault: string, options: StressOptions = {}): Promise<StressResult> {
  return stress(scenarioFile('failing-iterations'), { args: { fault }, durationMs: ENOUGH_MS, seed: 1, ...options });
}

async function messageOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => 'it did not throw',
    (error: Error) => `${error.name}: ${error.message}`,
  );
}

describe('stress', () => {
  after(() => shutdownPool());

  it('runs as often as asked, each time from the start of day', async () => {
    const result = await stress(scenarioFile('iterated'), { iterations: 500, seed: 7 });
    expect(result).to.include({ scenario: 'iterated', seed: 7, chaos: false, iterations: 500, interrupted: false });
    expect(result.failures).to.deep.equal([]);
  });

  it('does the same under chaos, and with other numbers of vCPUs', async () => {
    expect((await stress(scenarioFile('iterated'), { iterations: 100, chaos: true })).failures).to.deep.equal([]);
    const many = await failing('nothing', { vcpus: 7, iterations: 50 });
    expect(many).to.include({ iterations: 50 });
    expect(many.failures).to.deep.equal([]);
  });

  it('runs devices and timers in every iteration', async () => {
    const { iterations, failures } = await stress(scenarioFile('iterated-devices'), { iterations: 20 });
    expect(failures).to.deep.equal([]);
    expect(iterations).to.equal(20);
  });

  it('finds a lost wake-up of the gallery, and tells iteration and seed', async () => {
    const file = path.join(RACES, 'r14-check-then-block.ts');
    const { failures, iterations } = await stress(file, { durationMs: ENOUGH_MS, seed: 1, chaos: true });
    expect(failures).to.have.length(1);
    expect(failures[0]).to.include({ kind: 'deadlock', iteration: iterations });
    expect(failures[0]?.message).to.equal('nothing is left that could wake anyone: vCPU 0 is blocked in SCHEDOP_block');
  });

  const KINDS: readonly [string, StressFailureKind, RegExp, StressOptions?][] = [
    ['asserts', 'assertion', /^on purpose$/],
    ['throws', 'crash', /^out of range$/],
    ['exits the process', 'crash', /process\.exit\(3\) called in a guest/],
    ['crashes', 'crash', /SHUTDOWN_crash/],
    ['blocks', 'deadlock', /vCPU 1 is blocked in SCHEDOP_block/],
    ['waits in its memory', 'deadlock', /vCPU 1 sleeps in wait32/],
    ['changes a word', 'assertion', /^the word has changed$/],
    ['spins for ever', 'livelock', /no end after 0\.3 s .*vCPU 1 is running/, { watchdogMs: 300 }],
    ['never yields', 'livelock', /no end after 0\.3 s .*vCPU 1 is running/, { watchdogMs: 300 }],
    ['is checked for ever', 'livelock', /the check does not come to an end/, { watchdogMs: 300 }],
    ['crashes and never leaves', 'crash', /SHUTDOWN_crash/, { watchdogMs: 300 }],
    ['runs out of memory', 'crash', /failing-iterations\/1: out of memory/, { memoryLimitMb: 16 }],
  ];

  for (const [fault, kind, message, options] of KINDS) {
    it(`reports a guest that ${fault} as ${kind}, and goes on to the next iteration`, async () => {
      const { failures, iterations } = await failing(fault, { maxFailures: 2, ...options });
      expect(failures.map((failure) => ({ kind: failure.kind, iteration: failure.iteration }))).to.deep.equal([
        { kind, iteration: 1 },
        { kind, iteration: 2 },
      ]);
      for (const failure of failures) expect(failure.message).to.match(message);
      expect(iterations).to.equal(2);
    });
  }

  it('waits for a vCPU that is slow to leave: no thread is lost by that', async () => {
    const { failures } = await failing('crashes and is slow to leave');
    expect(failures).to.have.length(1);
    expect(failures[0]).to.include({ kind: 'crash', iteration: 1 });
    expect(failures[0]?.message).to.match(/SHUTDOWN_crash/);
  });

  it('tells where in the file an assertion failed', async () => {
    const { failures } = await failing('asserts');
    expect(failures[0]?.vcpu).to.equal(1);
    expect(failures[0]?.stack).to.match(/failing-iterations\.ts:8:/);
  });

  it('does not mind a domain that ends in good order', async () => {
    expect((await failing('powers off', { iterations: 20 })).failures).to.deep.equal([]);
  });

  it('gives the first iteration of a failure’s seed the numbers of the iteration that failed', async () => {
    const { failures } = await failing('asserts on a random number');
    const [first] = failures;
    expect(first?.kind).to.equal('assertion');
    const again = await failing('asserts on a random number', { seed: first?.seed, iterations: 1 });
    expect(again.failures.map(({ message }) => message)).to.deep.equal([first?.message]);
  });

  it('ends when it is told to, and says how far it has come', async () => {
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const result = await failing('nothing', { signal: controller.signal, onProgress });
    expect(result.interrupted).to.equal(true);
    expect(result.iterations).to.be.greaterThan(0);
  });

  it('ends with what a callback throws', async () => {
    const onProgress = () => {
      throw new Error('from the callback');
    };
    expect(await messageOf(failing('nothing', { onProgress }))).to.equal('Error: from the callback');
  });

  it('takes no option it does not understand', async () => {
    const cases: readonly [StressOptions, RegExp][] = [
      [{ iterations: 0 }, /iterations must be an integer of at least 1, not 0/],
      [{ durationMs: -1 }, /durationMs must be/],
      [{ seed: -1 }, /seed must be/],
      [{ chaos: 'much' as unknown as boolean }, /chaos must be true or false/],
      [{ maxFailures: 0.5 }, /maxFailures must be/],
      [{ vcpus: 300 }, /vcpus must be an integer from 1 to 128/],
    ];
    for (const [options, message] of cases) expect(await messageOf(failing('nothing', options))).to.match(message);
  });

  it('leaves no thread behind', async () => {
    await shutdownPool();
    expect(poolThreads()).to.equal(0);
  });
});
