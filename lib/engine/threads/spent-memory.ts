/**
 * Lets go of the memory of machines that are over. A thread that has to do with one machine after the other, kept warm or the
 * main thread, holds the buffers of earlier ones until it collects its garbage. V8 does not count shared buffers as anybody's,
 * so they never make it collect, however large they are; a thread without a need of its own would do so after hundreds of
 * machines.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { MachineImage } from '../../hypervisor/image';

/** So many bytes a thread may hold for nothing, whatever its heap. */
const SPENT_BYTES = 16 * 2 ** 20;

/** Of machines that this thread has had to do with since it last collected here. */
let spentBytes = 0;
let collect: (() => void) | undefined;

/**
 * To be called when the thread turns to another machine: what earlier ones had is garbage then.
 * @param output - the ring, if there is one
 */
export function releaseSpentMemory({ global, domains }: MachineImage, output?: SharedArrayBuffer): void {
  // As V8 does with what it counts: a collection takes as long as the heap is large, so it has to be worth as much.
  if (spentBytes > SPENT_BYTES && spentBytes > getHeapStatistics().used_heap_size) {
    spentBytes = 0;
    collect ??= findCollector();
    collect();
  }
  spentBytes += global.byteLength + (output?.byteLength ?? 0);
  for (const { guest, private: state } of domains) spentBytes += guest.byteLength + state.byteLength;
}

/** V8's collector, as contexts have it that are made while the flag is set. */
export function findCollector(): () => void {
  let found: (() => void) | undefined;
  // Flags are the process's: another thread that has just found its own may take the flag back before the context is made.
  while (found === undefined) {
    setFlagsFromString('--expose-gc');
    found = runInNewContext('globalThis.gc') as typeof found;
  }
  setFlagsFromString('--no-expose-gc');
  return found;
}
