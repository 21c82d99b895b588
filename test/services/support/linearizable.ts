/**
 * Whether a history of operations on one node is linearizable: whether the operations can be put in an order that respects who was
 * over before whom began, and in which each sees what those before it have left. The search of Wing and Gong, remembering the
 * pairs of operations done and value left that led nowhere.
 *
 * @source J. M. Wing, C. Gong: Testing and verifying concurrent objects, JPDC 17 (1993); G. Lowe: Testing for linearizability (2017)
 */
import type { Recorded } from '../scenarios/counting';

/** The value an operation leaves, if it may come now; undefined if what it saw contradicts. */
function step(value: string, [kind, seen]: Recorded): string | undefined {
  switch (kind) {
    case 'write':
      return seen;
    case 'rm':
      return 'none';
    case 'read':
      return seen === value ? value : undefined;
    default:
      return seen === value ? `${value}+` : undefined;
  }
}

/** @param initial - of the node; `none` for no node */
export function isLinearizable(history: readonly Recorded[], initial = 'none'): boolean {
  const all = 2 ** history.length - 1;
  const dead = new Set<string>();
  const search = (done: number, value: string): boolean => {
    if (done === all) return true;
    const key = `${done} ${value}`;
    if (dead.has(key)) return false;
    const left = history.map((operation, i) => ({ operation, bit: 2 ** i })).filter(({ bit }) => (done & bit) === 0);
    const firstOver = Math.min(...left.map(({ operation }) => operation[3]));
    for (const { operation, bit } of left) {
      // Somebody left was over before this one began.
      if (operation[2] > firstOver) continue;
      const next = step(value, operation);
      if (next !== undefined && search(done | bit, next)) return true;
    }
    dead.add(key);
    return false;
  };
  return search(0, initial);
}
