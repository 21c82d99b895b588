import { availableParallelism } from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { Op } from '../../lib/engine/inline/ops';
import type { LoggedAccess, ThreadLog } from '../../lib/engine/threads';
import type { StressFailure } from '../../lib/engine/threads/stress';
import { WORDS_ADDRESS } from '../../lib/engine/words';
import { accessLines } from '../../lib/explore/access-lines';
import { reconstruct } from '../../lib/explore/reconstruct';
import { resolveSubject } from '../../lib/explore/subject';
import { replay, shutdownPool, stress } from '../../lib/index';
import { HOST_IS_TSO } from '../../lib/memory/atomics-memory';

const SPINNER = path.join(__dirname, 'scenarios/spinner.ts');
const RACES = path.join(__dirname, '../../examples/races');
const LONG = process.env.UPCALL_LONG === '1';
const READY = WORDS_ADDRESS;
const SUM = WORDS_ADDRESS + 64;

/** `tick op address operand -> result`, the operand of loads and the result of stores left out. */
function access(tick: number, kind: number, address: number, operand: number, result: number, count = 1): LoggedAccess {
  return { tick, kind, address, operand, expected: 0, result, count, region: 0, timeNs: 0 };
}

function logOf(row: number, accesses: readonly LoggedAccess[], missing = 0): ThreadLog {
  return { row, missing, accesses };
}

function failure(logs: readonly ThreadLog[], message = 'the sum is 1'): StressFailure {
  return { iteration: 1, kind: 'assertion', message, seed: 1, threadsOnly: false, logs, domains: [] };
}

/** vCPU 1 spins until vCPU 0 is ready; then both read the sum before either writes it. */
const LOST_UPDATE = [
  logOf(0, [access(3, Op.STORE32, READY, 1, 0), access(4, Op.LOAD32, SUM, 0, 0), access(8, Op.STORE32, SUM, 1, 0)]),
  logOf(1, [
    access(1, Op.LOAD32, READY, 0, 0),
    access(2, Op.RELAX, 0, 0, 0, 9000),
    access(5, Op.LOAD32, READY, 0, 1),
    access(6, Op.LOAD32, SUM, 0, 0),
    access(7, Op.STORE32, SUM, 1, 0),
  ]),
];

describe('reconstruction of a failure on threads', () => {
  after(() => shutdownPool());

  it('finds a schedule with the results in the logs, spin-wait loops shortened', async () => {
    const subject = await resolveSubject(SPINNER, {});
    const found = await reconstruct(subject, failure(LOST_UPDATE));
    expect(found).to.include({ by: 'log', memoryModel: 'sc', preemptions: 1 });
    const again = await replay(SPINNER, found.token!);
    expect(again.failure).to.include({ kind: 'assertion', message: 'the sum is 1' });
  });

  it('gives up when a guest loops without an access on the way', async () => {
    const subject = await resolveSubject(path.join(__dirname, 'scenarios/looper.ts'), {});
    const found = await reconstruct(subject, failure([logOf(0, [], 1), logOf(1, [], 1)]));
    expect(found).to.deep.equal({
      token: null,
      why: 'a guest loops without an access on a schedule that was tried',
    });
  });

  it('goes by the results where the clock is wrong', async () => {
    const shuffled = LOST_UPDATE.map(({ row, accesses }) =>
      logOf(
        row,
        accesses.map((each) => ({ ...each, tick: 10 - each.tick })),
      ),
    );
    expect(await reconstruct(await resolveSubject(SPINNER, {}), failure(shuffled))).to.include({ by: 'log' });
  });

  it('searches in spite of the logs when they are cut off, or no schedule has their results', async () => {
    const subject = await resolveSubject(SPINNER, {});
    const cutOff = LOST_UPDATE.map(({ row, accesses }) => logOf(row, accesses, 5));
    const impossible = [logOf(0, [access(1, Op.LOAD32, SUM, 0, 77)]), LOST_UPDATE[1]!];
    for (const logs of [cutOff, impossible]) {
      expect(await reconstruct(subject, failure(logs))).to.include({ by: 'search' });
    }
  });

  it('says so when nothing fails that way, and the logs can be read instead', async () => {
    const subject = await resolveSubject(SPINNER, {});
    const found = await reconstruct(subject, failure(LOST_UPDATE, 'it never says this'));
    expect(found.token).to.equal(null);
    expect((found as { why: string }).why).to.equal(
      'no schedule with the results in the log was found to fail this way',
    );
    expect(accessLines(subject.plan, LOST_UPDATE)).to.deep.equal([
      '    1  vCPU 1  load32 ready → 0',
      '    2  vCPU 1  relax, 9000 times',
      '    3  vCPU 0  store32 ready 1',
      '    4  vCPU 0  load32 sum → 0',
      '    5  vCPU 1  load32 ready → 1',
      '    6  vCPU 1  load32 sum → 0',
      '    7  vCPU 1  store32 sum 1',
      '    8  vCPU 0  store32 sum 1',
    ]);
  });

  for (const race of ['r01-unmask-without-second-look', 'r19-sleeping-before-kickable', 'r25-close-then-forget']) {
    it(`makes a token of ${race} that replays to the same kind of failure`, async () => {
      const file = path.join(RACES, `${race}.ts`);
      const { failures } = await stress(file, { durationMs: 60_000, seed: 1, chaos: true });
      const [found] = failures;
      expect(found?.token, found?.reconstruction).to.be.a('string');
      expect((await replay(file, found!.token!)).failure?.kind).to.equal(found?.kind);
    });
  }

  it('finds a race of the store buffer where there is one, and replays it under tso', async function () {
    // It takes two threads that run at the same time, which a busy machine seldom grants.
    if (!LONG || availableParallelism() < 2 || !HOST_IS_TSO) this.skip();
    this.timeout(400_000);
    const file = path.join(RACES, 'r15-block-flag-not-ordered.ts');
    const { failures } = await stress(file, { durationMs: 300_000, seed: 1, chaos: true });
    const [found] = failures;
    expect(found?.token, found?.reconstruction).to.be.a('string');
    expect(found?.reconstruction).to.match(/; tso, /);
    expect((await replay(file, found!.token!)).failure?.kind).to.equal('deadlock');
  });

  it('reconstructs under the event-channel ABI that was stressed', async () => {
    const file = path.join(RACES, 'r19-sleeping-before-kickable.ts');
    const { failures } = await stress(file, { events: 'fifo', durationMs: 60_000, seed: 1, chaos: true });
    const [found] = failures;
    expect(found?.token, found?.reconstruction).to.be.a('string');
    const { trace, failure: again } = await replay(file, found!.token!, { events: 'fifo' });
    expect(again?.kind).to.equal('deadlock');
    expect(trace.steps.some(({ name }) => name?.includes('event_array') === true)).to.equal(true);
  });
});
