/** Random lists of operations for scenarios/random-words.ts. */
import type { Random } from '../../../lib/engine/rng';

export type Operation = readonly [operation: string, word: number, value: number];

const PLAIN = ['read', 'write', 'read', 'write', 'read8', 'write8'];
const ATOMIC = ['load', 'store', 'add', 'and', 'or', 'xor', 'exchange', 'cas', 'fence'];
const NARROW = ['load8', 'store8', 'add8', 'and8', 'or8', 'xor8', 'exchange8', 'cas8'];
const WAITING = ['wait', 'notify', 'notify', 'spin', 'spin', 'lock', 'lock'];
const OTHER = ['choose', 'choose-many', 'now', 'random'];
/** End an execution, sometimes: not in every list. */
const FATAL = ['assert', 'throw', 'spin-for-ever'];

/** Operations for each of 2 or 3 vCPUs. */
export function randomLists(rng: Random): Operation[][] {
  const operations = [...PLAIN, ...ATOMIC, ...NARROW, ...WAITING, ...OTHER];
  if (rng.below(3) === 0) operations.push(...FATAL);
  const words = 1 + rng.below(3);
  const pick = (): Operation => {
    const operation = operations[rng.below(operations.length)] as string;
    return [operation, rng.below(words), 1 + rng.below(3)];
  };
  return Array.from({ length: 2 + rng.below(2) }, () => Array.from({ length: 3 + rng.below(8) }, pick));
}
