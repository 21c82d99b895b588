/** One contender of locks.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';
import { GO, LOCK, type LockTask, READY, SECOND, THIRD } from './lock-task';

const { buffer, role, rounds } = workerData as LockTask;
const memory = new AtomicsMemory(buffer);

/** What a reader must never see: a writer's work half done. */
function torn(): boolean {
  return memory.read32(SECOND) !== memory.read32(THIRD);
}

let seenTorn = 0;
let refused = 0;

memory.add32(READY, 1);
memory.notify32(READY);
while (memory.load32(GO) === 0) memory.wait32(GO, 0);

for (let round = 0; round < rounds; round++) {
  if (role === 'writer') {
    memory.writeLock(LOCK);
    memory.write32(SECOND, memory.read32(SECOND) + 1);
    memory.write32(THIRD, memory.read32(THIRD) + 1);
    memory.writeUnlock(LOCK);
  } else if (role === 'reader') {
    memory.readLock(LOCK);
    if (torn()) seenTorn++;
    memory.readUnlock(LOCK);
  } else if (memory.readTrylock(LOCK)) {
    if (torn()) seenTorn++;
    memory.readUnlock(LOCK);
  } else {
    refused++;
  }
}
parentPort?.postMessage({ seenTorn, refused });
