/**
 * Every example runs free on worker threads and under random exploration, in small form; and every example's check
 * can fail.
 */
import { AssertionError } from 'node:assert';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { explore } from '../../lib';
import type { CheckContext, Scenario } from '../../lib/engine/scenario';
import { bundleScenario } from '../../lib/engine/scenario-bundle';
import { evaluateScenario } from '../../lib/engine/scenario-source';
import { type RunOptions, run, shutdownPool } from '../../lib/engine/threads';

const EXAMPLES = path.join(__dirname, '../../examples');

/** What a broken kernel would leave behind: a check has to object to it. */
interface Wrong {
  readonly because: string;
  readonly words?: Readonly<Record<string, number | readonly number[]>>;
  readonly domains?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly results?: readonly unknown[];
  /** Of several domains. */
  readonly of?: Readonly<Record<string, readonly unknown[]>>;
}

interface Example {
  readonly run: RunOptions;
  /** Further runs on threads. */
  readonly also?: readonly RunOptions[];
  /** Smaller still, for exploration; absent: too long to be executed again and again. */
  readonly explore?: RunOptions;
  /** Fewer than others, where an execution is long. */
  readonly executions?: number;
  /** How the scenario's domain ends, if not by returning. */
  readonly exit?: string;
  readonly wrong: readonly Wrong[];
}

const MS = 1_000_000;

const examples: Readonly<Record<string, Example>> = {
  'ipi-ping-pong': {
    run: { args: { rounds: 20 } },
    also: [
      { args: { rounds: 20 }, abi: 'x86_32' },
      { args: { rounds: 20 }, abi: 'arm64' },
    ],
    explore: { args: { rounds: 2 } },
    wrong: [{ because: 'a ping was lost', words: { received: [20, 19] } }],
  },
  'xenstore-handshake': {
    run: { args: { knocks: 3 } },
    also: [
      { args: { knocks: 2 }, abi: 'x86_32' },
      { args: { knocks: 2 }, abi: 'arm64' },
    ],
    explore: { args: { knocks: 1 } },
    wrong: [
      { because: 'a knock was not heard', domains: { listener: { heard: 2 }, caller: { answers: 3 } } },
      { because: 'a knock was not answered', domains: { listener: { heard: 3 }, caller: { answers: 2 } } },
    ],
  },
  'timer-tick': {
    run: { vcpus: 2, args: { ticks: 2, periodMs: 5 } },
    explore: { vcpus: 1, args: { ticks: 2, periodMs: 1 } },
    wrong: [
      { because: 'a tick is missing', results: [{ started: 0, times: [5 * MS] }] },
      { because: 'a tick was early', results: [{ started: 0, times: [5 * MS, 10 * MS - 1] }] },
    ],
  },
  'smp-bringup': {
    run: { vcpus: 3 },
    // More than the shared page has slots for.
    also: [{ vcpus: 34 }],
    explore: { vcpus: 3 },
    wrong: [
      { because: 'one is not online', results: [{ online: 2, sum: 7 }] },
      { because: 'one answered wrongly', results: [{ online: 3, sum: 8 }] },
    ],
  },
  scheduler: {
    run: { args: { tasks: 4, slices: 6, napUs: 50 } },
    also: [{ vcpus: 3, args: { tasks: 8, slices: 6, napUs: 0 } }],
    explore: { args: { tasks: 1, slices: 4, napUs: 10 } },
    wrong: [
      {
        because: 'a task sleeps',
        words: { state: [4, 4, 3, 4], slicesDone: [6, 6, 6, 6] },
        results: [{ slicesRun: 24 }],
      },
      {
        because: 'a slice ran twice',
        words: { state: [4, 4, 4, 4], slicesDone: [6, 6, 6, 6] },
        results: [{ slicesRun: 25 }],
      },
    ],
  },
  'interdomain-echo': {
    run: { args: { knocks: 20 } },
    also: [{ args: { knocks: 20 }, abi: 'arm64' }],
    explore: { args: { knocks: 2 } },
    wrong: [
      { because: 'an echo is missing', domains: { server: { knocks: 20 }, client: { echoes: 19 } } },
      { because: 'a knock is missing', domains: { server: { knocks: 19 }, client: { echoes: 20 } } },
    ],
  },
  'pirq-nic': {
    run: { args: { packets: 12 } },
    explore: { args: { packets: 3 } },
    wrong: [
      { because: 'a packet is missing', words: { consumed: 10, dropped: 1, checksum: 0, interrupts: 1 } },
      { because: 'a packet is damaged', words: { consumed: 12, dropped: 0, checksum: 1, interrupts: 1 } },
      { because: 'an interrupt had no cause', words: { consumed: 0, dropped: 12, checksum: 0, interrupts: 13 } },
    ],
  },
  'poll-spinlock': {
    run: { args: { rounds: 20, spins: 1 } },
    also: [{ vcpus: 3, args: { rounds: 20, spins: 0 } }],
    explore: { args: { rounds: 1, spins: 0 } },
    wrong: [{ because: 'an addition was lost', words: { counter: 39 } }],
  },
  'console-echo': {
    run: { args: { typed: 'ab\nc\u0004' } },
    also: [{ args: { typed: '', bytes: 4 }, input: 'typed by somebody' }],
    explore: { args: { typed: 'ab\u0004' } },
    wrong: [{ because: 'a character is missing', results: [{ bytesTaken: 3 }] }],
  },
  'block-driver': {
    run: { args: { writes: 8, depth: 4, crashAfter: 3 } },
    also: [{ args: { writes: 4, depth: 1, crashAfter: 0 }, abi: 'x86_32' }],
    wrong: [{ because: 'a request is missing', of: { guest: [{ requests: 17 }] } }],
  },
  'net-echo': {
    run: { args: { frames: 20, bytes: 100, window: 4 } },
    also: [{ args: { frames: 20, bytes: 1514, window: 1 }, abi: 'arm64' }],
    explore: { args: { frames: 2, bytes: 20, window: 2 } },
    executions: 3,
    wrong: [
      {
        because: 'an echo is missing',
        of: { client: [{ sent: 20, received: 19 }], server: [{ sent: 20, received: 20 }] },
      },
      {
        because: 'a frame is missing',
        of: { client: [{ sent: 20, received: 20 }], server: [{ sent: 20, received: 19 }] },
      },
    ],
  },
  'console-shell': {
    run: { vcpus: 2 },
    also: [{ vcpus: 3, abi: 'arm64', input: 'ipi 2\nipi 1\nps\n\u0004' }],
    exit: 'poweroff',
    wrong: [
      { because: 'a vCPU did not answer', words: { sent: [0, 2], handled: [0, 1] } },
      { because: 'a vCPU answered unasked', words: { sent: [0, 0], handled: [0, 1] } },
    ],
  },
  tour: {
    run: { vcpus: 3, args: { seconds: 0.05, reportMs: 10 } },
    wrong: [
      { because: 'a report was lost', words: { reports: 3, passed: [5, 5, 5] }, results: [{ reports: 4 }] },
      { because: 'the token was lost', words: { reports: 4, passed: [5, 3, 3] }, results: [{ reports: 4 }] },
      { because: 'there were two tokens', words: { reports: 4, passed: [5, 6, 5] }, results: [{ reports: 4 }] },
      { because: 'the token never moved', words: { reports: 4, passed: [0, 0, 0] }, results: [{ reports: 4 }] },
    ],
  },
};

/** Memory model and event-channel ABI. */
const EXPLORED = [
  ['sc', '2l'],
  ['tso', '2l'],
  ['sc', 'fifo'],
  ['tso', 'fifo'],
] as const;

/** Few: each execution is a whole boot. */
const EXECUTIONS = 10;

/** A word of that value. */
const word = (value: number) => ({ read: () => value, load: () => value });

function wordsOf(values: Wrong['words'] = {}): Record<string, unknown> {
  const entries = Object.entries(values).map(([name, value]) => {
    return [name, typeof value === 'number' ? word(value) : value.map(word)] as const;
  });
  return Object.fromEntries(entries);
}

/** The context of a check, with what a broken kernel left behind. */
function contextOf({ words, domains, results = [], of = {} }: Wrong, { args, vcpus = 2 }: RunOptions): CheckContext {
  const views = Object.fromEntries(
    Object.entries(domains ?? {}).map(([name, values]) => [name, { words: wordsOf(values) }]),
  );
  return {
    domain: { vcpus },
    domains: views,
    args,
    words: wordsOf(words),
    results,
    resultsOf: of,
  } as unknown as CheckContext;
}

describe('examples', () => {
  after(() => shutdownPool());

  it('are all covered here', () => {
    const files = readdirSync(EXAMPLES).filter((file) => file.endsWith('.ts'));
    expect(files.map((file) => path.basename(file, '.ts'))).to.have.members(Object.keys(examples));
  });

  for (const [name, example] of Object.entries(examples)) {
    describe(name, () => {
      const file = path.join(EXAMPLES, `${name}.ts`);
      let scenario: Scenario;

      before(async () => {
        scenario = evaluateScenario(await bundleScenario(file));
      });

      for (const options of [example.run, { ...example.run, events: 'fifo' }, ...(example.also ?? [])]) {
        it(`holds on threads with ${JSON.stringify(options)}`, async () => {
          const result = await run(file, options);
          expect(result.failure).to.equal(null);
          const reasons = result.domains.filter(({ id }) => id !== 0).map(({ exit }) => exit.reason);
          // A daemon is stopped if it has not ended by itself.
          const ended = reasons.filter((reason) => reason !== 'stopped');
          expect(new Set(ended)).to.deep.equal(new Set([example.exit ?? 'completed']));
        });
      }

      for (const [memoryModel, events] of example.explore ? EXPLORED : []) {
        const { executions = EXECUTIONS } = example;
        it(`holds under ${executions} random schedules, ${memoryModel}, ${events} events`, async () => {
          const { vcpus, args } = example.explore ?? {};
          const report = await explore(file, {
            vcpus,
            args,
            memoryModel,
            events,
            strategy: 'random',
            seed: 7,
            maxExecutions: executions,
            maxSteps: 100_000,
            // Wall time: not for a busy machine to call one of them a livelock.
            watchdogMs: 60_000,
          });
          report.assertHeld();
          expect(report.executions).to.equal(executions);
        });
      }

      for (const wrong of example.wrong) {
        it(`fails its check when ${wrong.because}`, () => {
          expect(() => scenario.check?.(contextOf(wrong, example.run))).to.throw(AssertionError);
        });
      }
    });
  }
});
