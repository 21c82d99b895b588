import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { GO, LOCK, type LockTask, READY, SECOND, THIRD } from './lock-task';

const ROUNDS = 20_000;
/** Limit of every wait of this thread. */
const PATIENCE_MS = 20_000;

interface Report {
  readonly seenTorn: number;
  readonly refused: number;
}

const workers: Worker[] = [];

function start(task: LockTask): Promise<Report> {
  return new Promise((resolve, reject) => {
    const execArgv = ['-r', 'ts-node/register/transpile-only'];
    const worker = new Worker(path.join(__dirname, 'lock-worker.ts'), { workerData: task, execArgv });
    workers.push(worker);
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the worker left with ${code} and no report`)));
  });
}

/** Sleeps until the word satisfies the condition; hears of failing workers meanwhile. */
async function until(memory: AtomicsMemory, address: number, holds: (word: number) => boolean): Promise<void> {
  const limit = performance.now() + PATIENCE_MS;
  for (let word = memory.load32(address); !holds(word); word = memory.load32(address)) {
    if (performance.now() > limit) throw new Error(`the word at ${address} stays ${word}`);
    memory.wait32(address, word, 10e6);
    await new Promise(setImmediate);
  }
}

/** Starts a worker for each role; they begin together. Resolves once they have begun. */
async function contend(
  memory: AtomicsMemory,
  roles: readonly LockTask['role'][],
  rounds: number,
): Promise<{ reports: Promise<Report[]> }> {
  const reports = Promise.all(roles.map((role) => start({ buffer: memory.buffer, role, rounds })));
  await Promise.race([reports, until(memory, READY, (ready) => ready === roles.length)]);
  memory.store32(GO, 1);
  memory.notify32(GO);
  return { reports };
}

describe('AtomicsMemory locks, threads', () => {
  let memory: AtomicsMemory;

  beforeEach(() => {
    memory = new AtomicsMemory(new SharedArrayBuffer(4096));
  });

  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  });

  it('let one writer in at a time', async () => {
    const { reports } = await contend(memory, ['writer', 'writer', 'writer'], ROUNDS);
    await reports;
    expect(memory.read32(SECOND)).to.equal(3 * ROUNDS);
    expect(memory.read32(THIRD)).to.equal(3 * ROUNDS);
    expect(memory.load32(LOCK)).to.equal(0);
  });

  it('never show a reader the work of a writer half done', async () => {
    const { reports } = await contend(memory, ['writer', 'reader', 'trying reader', 'reader'], ROUNDS);
    expect((await reports).map(({ seenTorn }) => seenTorn)).to.deep.equal([0, 0, 0, 0]);
    expect(memory.read32(SECOND)).to.equal(ROUNDS);
    expect(memory.load32(LOCK)).to.equal(0);
  });

  it('let a writer in while readers keep coming, and readers while writers do', async () => {
    const { reports } = await contend(memory, ['writer', 'writer', 'reader', 'reader'], ROUNDS);
    await reports;
    expect(memory.read32(THIRD)).to.equal(2 * ROUNDS);
    expect(memory.load32(LOCK)).to.equal(0);
  });

  it('wait for a holder that takes its time', async () => {
    memory.writeLock(LOCK);
    const { reports } = await contend(memory, ['reader', 'writer'], 1);
    // Both upper bits: held, and the writer has announced that it waits.
    await until(memory, LOCK, (word) => word >>> 30 === 3);
    expect(memory.read32(SECOND)).to.equal(0);
    memory.writeUnlock(LOCK);
    await reports;
    expect(memory.read32(SECOND)).to.equal(1);
    expect(memory.load32(LOCK)).to.equal(0);
  });
});
