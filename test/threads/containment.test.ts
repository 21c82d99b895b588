import { expect } from 'chai';
import { poolThreads } from '../../lib/engine/threads';
import { type ExitReason, type RunOptions, shutdownPool } from '../../lib/index';
import { processThreads, runScenario } from './support/threads';

interface Case {
  readonly fault: string;
  readonly reason: ExitReason;
  readonly message: RegExp;
  /** First cause, as the user sees it. */
  readonly cause?: RegExp;
  readonly options?: RunOptions;
  /** Ended in good order: not a failure of the run. */
  readonly held?: boolean;
  readonly times?: number;
}

/** Long enough for a thread of a busy machine to get its turn. */
const LIMIT = { watchdogMs: 300 };

const CASES: readonly Case[] = [
  { fault: 'throws', reason: 'exception', message: /vCPU 1: RangeError: on purpose/, cause: /faults\.ts:8:/ },
  { fault: 'throws no error', reason: 'exception', message: /vCPU 1: Error: thrown: a string/ },
  { fault: 'asserts', reason: 'assertion', message: /vCPU 1: arithmetic holds/, cause: /faults\.ts:14:/ },
  { fault: 'asserts and swallows', reason: 'assertion', message: /swallowed/, times: 3 },
  { fault: 'throws in a handler', reason: 'exception', message: /in the handler/ },
  {
    fault: 'takes an upcall without callback',
    reason: 'crash',
    message: /no callback registered: call vcpu\.onUpcall/,
  },
  { fault: 'exits the process', reason: 'process-exit', message: /process\.exit\(3\) called in a guest/ },
  {
    fault: 'runs out of memory',
    reason: 'out-of-memory',
    message: /vCPU 1: out of memory/,
    options: { memoryLimitMb: 16 },
  },
  { fault: 'never yields', reason: 'hang', message: /vCPU [12] is stuck: never leaving/, options: LIMIT },
  { fault: 'spins for ever', reason: 'hang', message: /vCPU \d is stuck/, options: LIMIT, times: 3 },
  { fault: 'returns a function', reason: 'exception', message: /return plain data/ },
  { fault: 'returns a promise', reason: 'exception', message: /guests are synchronous/ },
  { fault: 'reaches outside its memory', reason: 'exception', message: /RangeError: address 1073741824/ },
  { fault: 'powers off', reason: 'poweroff', message: /SHUTDOWN_poweroff/, held: true },
  { fault: 'reboots', reason: 'reboot', message: /SHUTDOWN_reboot/, held: true },
  { fault: 'suspends', reason: 'suspend', message: /SHUTDOWN_suspend/, held: true },
  { fault: 'crashes', reason: 'crash', message: /SHUTDOWN_crash/ },
  { fault: 'lets its watchdog expire', reason: 'watchdog', message: /SHUTDOWN_watchdog/, times: 1 },
];

const REPEAT = 50;
/**
 * Most threads at any time. A run needs five; threads that replace others may be spare when those they stand in for
 * come free, and threads with less memory are a pool of their own. A leak would show after a few of the repetitions.
 */
const MOST_THREADS = 24;

describe('a failing guest ends its domain with the first cause, and nothing else', () => {
  let threadsBefore: number | undefined;

  before(async () => {
    await shutdownPool();
    threadsBefore = processThreads();
  });

  after(shutdownPool);

  for (const { fault, reason, message, cause, options, held = false, times = REPEAT } of CASES) {
    it(`when it ${fault} (${times} times)`, async () => {
      for (let i = 0; i < times; i++) {
        const result = await runScenario('faults', { args: { fault }, ...options });
        const [victim, bystander] = result.domains;
        expect(victim?.exit).to.include({ reason });
        expect(victim?.exit.message).to.match(message);
        if (cause !== undefined) expect(victim?.exit.cause?.stack).to.match(cause);
        expect(bystander?.exit).to.deep.equal({ reason: 'completed' });
        expect(bystander?.vcpus[0]?.result).to.equal('fine');
        expect(result.failure?.kind).to.equal(held ? undefined : reason);
        expect(poolThreads()).to.be.at.most(MOST_THREADS);
      }
    });
  }

  it('and leaves no thread behind', async () => {
    await shutdownPool();
    expect(poolThreads()).to.equal(0);
    const now = processThreads();
    if (threadsBefore !== undefined && now !== undefined) expect(now).to.be.at.most(threadsBefore);
  });
});
