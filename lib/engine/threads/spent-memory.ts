/**
 * Lets go of the memory of machines that are over. A worker thread that is kept warm holds the buffers of its earlier tasks until it
 * collects its garbage; they count for the thread that made them, so nothing ever makes it.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { MachineImage } from '../../hypervisor/image';

/** So many bytes a thread may hold for nothing. */
const MOST_SPENT_BYTES = 16 * 2 ** 20;

/** Of machines whose task this thread has had since it last collected. */
let spentBytes = 0;
let collect: (() => void) | undefined;

/** To be called at the beginning of a task: what earlier ones had is garbage then. */
export function releaseSpentMemory({ domains }: MachineImage): void {
  if (spentBytes > MOST_SPENT_BYTES) {
    spentBytes = 0;
    collect ??= findCollector();
    collect();
  }
  for (const { guest, private: state } of domains) spentBytes += guest.byteLength + state.byteLength;
}

function findCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const found = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  return found;
}
