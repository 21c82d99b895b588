import { once } from 'node:events';
import path from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { releaseSpentMemory } from '../../lib/engine/threads/spent-memory';
import type { MachineImage } from '../../lib/hypervisor/image';

const COMPILED = path.join(__dirname, '..', '..', 'dist', 'lib', 'engine', 'threads', 'spent-memory.js');
const MIB = 2 ** 20;
const MACHINE_MIB = 8;

function machineOf(mib: number): MachineImage {
  const guest = new SharedArrayBuffer(mib * MIB);
  const small = new SharedArrayBuffer(4096);
  return { global: small, domains: [{ guest, private: small }] } as unknown as MachineImage;
}

describe('the memory of machines that are over', () => {
  it('is let go before it is much more than the heap that a collection has to go through', () => {
    const before = process.memoryUsage().arrayBuffers;
    const most = Math.max(getHeapStatistics().used_heap_size, 16 * MIB);
    let peak = 0;
    for (let total = 0; total < 4 * most; total += MACHINE_MIB * MIB) {
      releaseSpentMemory(machineOf(MACHINE_MIB));
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    }
    expect(peak).to.be.at.most(1.5 * most + 3 * MACHINE_MIB * MIB);
  });

  it('can be collected by threads that ask for a collector at the same time', async () => {
    const code = `
      const { findCollector } = require(${JSON.stringify(COMPILED)});
      for (let i = 0; i < 50; i++) findCollector();
      require('node:worker_threads').parentPort.postMessage('found');`;
    const workers = [1, 2, 3, 4].map(() => new Worker(code, { eval: true, execArgv: [] }));
    const answers = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0] as unknown));
    expect(answers).to.deep.equal(['found', 'found', 'found', 'found']);
    await Promise.all(workers.map((worker) => worker.terminate()));
  });
});
