import path from 'node:path';
import { expect } from 'chai';
import { LockstepSession, type LockstepSubject, runLockstep } from '../../lib/engine/lockstep';
import { resolveScenario } from '../../lib/engine/resolve-scenario';
import { bundleScenario } from '../../lib/engine/scenario-bundle';
import { evaluateScenario } from '../../lib/engine/scenario-source';
import { poolThreads } from '../../lib/engine/threads/pool';
import { kernels } from './scenarios/kernels';
import { expectSame, inlineRuns, openSession, type PairCase } from './support/pairs';

const SCENARIOS = path.join(__dirname, 'scenarios');
const FAULTS = path.join(SCENARIOS, 'faults.ts');
const SETUP = { memoryModel: 'sc', seed: 1, maxSteps: 500 } as const;
/** vCPU 0 as long as it can go on, then vCPU 1. */
const FIRST_THEN_SECOND = { actors: [0], choices: [] };

async function kernel(name: string): Promise<LockstepSubject> {
  const source = await bundleScenario(path.join(SCENARIOS, 'kernels.ts'));
  return { source, subject: evaluateScenario(source, { index: kernels.findIndex((each) => each.name === name) }) };
}

async function pairCase(name: string, seed: number): Promise<PairCase> {
  return { title: name, subject: await kernel(name), memoryModel: 'sc', seed, schedules: 40 };
}

/** Closed after each test. */
const sessions: LockstepSession[] = [];

async function faults(...names: string[]): Promise<LockstepSession> {
  const session = new LockstepSession(await resolveScenario(FAULTS), {
    ...SETUP,
    args: { faults: names },
    stallMs: 300,
  });
  sessions.push(session);
  return session;
}

async function closeSessions(): Promise<void> {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
}

describe('A lockstep session', () => {
  afterEach(closeSessions);

  it('leaves nothing of an execution to the next, failed or not', async () => {
    const given = await pairCase('no-callback', 2);
    const runs = inlineRuns(given);
    const kinds = runs.map(({ failure }) => failure?.kind);
    expect(kinds).to.include('crash').and.to.include(undefined);
    const session = openSession(given);
    sessions.push(session);
    for (const run of [...runs, ...runs.reverse()]) {
      expectSame('again', session, run, await session.run(run.schedule));
    }
  });

  it('goes on with the last actor when the schedule is used up, and leaves out what is too much', async () => {
    const session = await faults('none', 'none');
    const short = await session.run({ actors: [1], choices: [] });
    expect(short.failure).to.equal(null);
    expect(short.steps.map(({ actor }) => actor)).to.deep.equal(
      [...short.steps.map(({ actor }) => actor)].sort().reverse(),
    );
    expect(short.results.slice(0, 2)).to.deep.equal([4, 2]);
    const actors = short.steps.map(({ actor }) => actor);
    const long = await session.run({ actors: [...actors, 0, 0, 1, 1], choices: [3, 4, 5] });
    expect(long.steps).to.deep.equal(short.steps);
    expect(long.divergedAt).to.equal(-1);
  });

  it('executes one schedule at a time', async () => {
    const session = await faults('none', 'none');
    const first = session.run(FIRST_THEN_SECOND);
    const error = await session.run(FIRST_THEN_SECOND).catch((thrown: Error) => thrown);
    expect(error).to.have.property('message', 'a lockstep session executes one schedule at a time');
    expect((await first).failure).to.equal(null);
  });

  it('says so when it is closed during an execution', async () => {
    const session = await faults('compute', 'none');
    const running = session.run(FIRST_THEN_SECOND).catch((thrown: Error) => thrown);
    await session.close();
    expect(await running).to.have.property('message', 'the lockstep session was closed during an execution');
  });

  it('hands over as often as the schedule changes programs', async () => {
    const session = await faults('none', 'none');
    const { switches, steps } = await session.run({ actors: [0, 1, 0, 0, 1, 1], choices: [] });
    let changes = 0;
    for (let i = 1; i < steps.length; i++) if (steps[i]?.actor !== steps[i - 1]?.actor) changes++;
    // Who begins has the baton from whoever came last to its first step.
    expect(switches).to.be.within(changes, changes + 1);
  });

  it('tells what was logged, entered and reached if asked to', async () => {
    const given = await kernel('devices');
    const result = await runLockstep(given.subject, { actors: [], choices: [] }, { ...SETUP, tracing: true });
    const texts = result.marks.flat().map(({ kind, text }) => `${kind} ${text}`);
    expect(texts).to.include('hypercall EVTCHNOP_bind_pirq');
    expect(texts.some((text) => text.startsWith('log serviced'))).to.equal(true);
  });

  it('ends an execution that has made as many steps as are allowed', async () => {
    const { subject } = await kernel('endless');
    const { failure, steps } = await runLockstep(subject, { actors: [], choices: [] }, { ...SETUP, maxSteps: 100 });
    expect(failure).to.deep.include({ kind: 'livelock' });
    expect(steps).to.have.lengthOf(100);
  });
});

describe('A schedule that does not fit', () => {
  afterEach(closeSessions);

  const cases: readonly [what: string, actors: number[], at: number, message: RegExp][] = [
    ['an actor that has ended', new Array(40).fill(0), 7, /^step \d+: the schedule names vCPU 0, which has ended$/],
    ['an actor there is none of', [0, 0, 9], 2, /^step 3: the schedule names actor 9, and there is none$/],
    [
      'time while others can go on',
      [1, 3],
      1,
      /^step 2: the schedule names time, which does not pass while others can go on$/,
    ],
    ['a timer that is not armed', [2], 0, /^step 1: the schedule names timer, which waits in timer_wait at 0x0$/],
  ];
  for (const [what, actors, at, message] of cases) {
    it(`names ${what}: the execution ends there and says so`, async () => {
      const session = await faults('none', 'none');
      const { failure, divergedAt, steps } = await session.run({ actors, choices: [] });
      expect(failure?.kind).to.equal('nondeterminism');
      expect(failure?.message).to.match(message);
      expect(divergedAt).to.equal(at);
      expect(steps).to.have.lengthOf(at);
      expect((await session.run(FIRST_THEN_SECOND)).failure).to.equal(null);
    });
  }

  it('names an empty store buffer: the execution ends there and says so', async () => {
    const { subject } = await kernel('store-buffering');
    const { failure } = await runLockstep(subject, { actors: [0, 3], choices: [] }, { ...SETUP, memoryModel: 'tso' });
    expect(failure?.message).to.equal('step 2: the schedule names store buffer of vCPU 0, which is empty');
  });

  it('belongs to a guest that remembers: the first other step is told with both its forms', async () => {
    const session = await faults('remember', 'none');
    const { steps } = await session.run(FIRST_THEN_SECOND);
    const again = await session.run(FIRST_THEN_SECOND, { expected: steps });
    const at = steps.findIndex(({ operand }, i) => again.steps[i]?.operand !== operand);
    expect(again.divergedAt).to.equal(at).and.at.least(0);
    expect(again.failure?.kind).to.equal('nondeterminism');
    expect(again.failure?.message).to.match(
      /^step \d+: vCPU 0 in add32 at 0x3000 operand 2 with result 1 where .* has vCPU 0 in add32 at 0x3000 operand 1 with result 1$/,
    );
  });
});

describe('A thread that will not go on under the lockstep engine', () => {
  afterEach(async () => {
    await closeSessions();
    // Another session finds a machine that works.
    const session = await faults('none', 'none');
    const { failure } = await session.run(FIRST_THEN_SECOND);
    await closeSessions();
    expect(failure).to.equal(null);
  });

  it('computes for ever: a livelock that names the vCPU', async () => {
    const session = await faults('none', 'compute');
    const { failure } = await session.run({ actors: [0, 0, 1, 1, 1], choices: [] });
    expect(failure).to.deep.include({ kind: 'livelock', actor: 1 });
    expect(failure?.message).to.match(/^vCPU 1 has made no step for 0.3 s/);
  });

  it('ends with process.exit: a crash that names the vCPU, and the session has ended', async () => {
    const session = await faults('exit', 'none');
    const { failure } = await session.run(FIRST_THEN_SECOND);
    expect(failure).to.deep.include({ kind: 'crash', actor: 0 });
    expect(failure?.message).to.match(/^vCPU 0: its thread ended: /);
    const error = await session.run(FIRST_THEN_SECOND).catch((thrown: Error) => thrown);
    expect(error).to.be.instanceOf(Error).with.property('message', 'this lockstep session has ended: open another');
  });

  it('swallows what unwinds it: the failure of another vCPU is told all the same', async () => {
    const session = await faults('assert', 'swallow');
    const { failure } = await session.run({ actors: [1, 1, 1, 1, 1, 1, 0], choices: [] });
    expect(failure).to.deep.equal({ kind: 'assertion', message: 'meant to fail', actor: 0 });
  });

  it('swallows its own end: told so', async () => {
    const session = await faults('fail-and-swallow', 'none');
    const { failure } = await session.run(FIRST_THEN_SECOND);
    expect(failure).to.deep.include({ kind: 'nondeterminism', actor: 0 });
    expect(failure?.message).to.match(/^vCPU 0 swallowed the exception/);
  });

  it('is ended when the caller aborts, whose reason the promise rejects with', async () => {
    const controller = new AbortController();
    const session = await faults('compute', 'none');
    const running = session.run(FIRST_THEN_SECOND, { signal: controller.signal });
    setImmediate(() => controller.abort(new Error('enough')));
    const error = await running.catch((thrown: Error) => thrown);
    expect(error).to.be.instanceOf(Error).with.property('message', 'enough');
  });

  it('is not started when the caller has aborted before', async () => {
    const session = await faults('none', 'none');
    const error = await session
      .run(FIRST_THEN_SECOND, { signal: AbortSignal.abort(new Error('never')) })
      .catch((thrown: Error) => thrown);
    expect(error).to.have.property('message', 'never');
    expect((await session.run(FIRST_THEN_SECOND)).failure).to.equal(null);
  });
});

describe('Threads of lockstep sessions', () => {
  afterEach(closeSessions);

  it('stay warm and are used again, however executions end', async () => {
    const open = async () => {
      const session = await faults('assert', 'none');
      await session.run(FIRST_THEN_SECOND);
      await session.close();
    };
    await open();
    const threads = poolThreads();
    for (let i = 0; i < 20; i++) await open();
    expect(poolThreads()).to.equal(threads);
  });

  it('are given back by a session that has executed nothing', async () => {
    const session = await faults('none', 'none');
    await session.close();
    await session.close();
    const error = await session.run(FIRST_THEN_SECOND).catch((thrown: Error) => thrown);
    expect(error).to.be.instanceOf(Error);
  });
});
