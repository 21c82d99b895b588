/** Random lists of operations for scenarios/random-words.ts. */
import type { Random } from '../../../lib/engine/rng';

export type Operation = readonly [operation: string, word: number, value: number];

const PLAIN = ['read', 'write', 'read', 'write', 'read8', 'write8'];
const ATOMIC = ['load', 'store', 'add', 'and', 'or', 'xor', 'exchange', 'cas', 'fence'];
const NARROW = ['load8', 'store8', 'add8', 'and8', 'or8', 'xor8', 'exchange8', 'cas8'];
const WAITING = ['wait', 'notify', 'notify', 'spin', 'spin', 'lock', 'lock'];
const OTHER = ['choose', 'choose-many', 'now', 'random', 'timer', 'timer'];
/** End an execution, sometimes: not in every list. */
const FATAL = ['assert', 'throw', 'spin-for-ever'];
/** Lists of these alone: several sleepers, and who of them is woken. */
const SLEEPING = ['sleep', 'sleep', 'notify', 'add', 'now'];
/** Lists of these alone: which deadline comes first, and how far the clock gets. */
const TIMING = ['timer', 'timer', 'now', 'add', 'spin'];

const VALUES = [1, 2, 3, 1, 2, 3, 0x80, 0xff, -1, 0x1234_5678, -0x8000_0000];

/** Operations for each of 2 or 3 vCPUs. */
export function randomLists(rng: Random): Operation[][] {
  const operations = operationsOf(rng);
  const words = 1 + rng.below(3);
  const vcpus = 2 + rng.below(2);
  const pick = (): Operation => {
    const operation = operations[rng.below(operations.length)] as string;
    return [operation, rng.below(words), VALUES[rng.below(VALUES.length)] as number];
  };
  return Array.from({ length: vcpus }, () => Array.from({ length: 3 + rng.below(8) }, pick));
}

function operationsOf(rng: Random): readonly string[] {
  const flavour = rng.below(8);
  if (flavour === 0) return SLEEPING;
  if (flavour === 1) return TIMING;
  const operations = [...PLAIN, ...ATOMIC, ...NARROW, ...WAITING, ...OTHER];
  return flavour < 4 ? [...operations, ...FATAL] : operations;
}
