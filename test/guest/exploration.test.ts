/** The library under every interleaving, or as many as there is time for: small guests in `scenarios/`. */
import path from 'node:path';
import { expect } from 'chai';
import { explore } from '../../lib';

const MEMORY_MODELS = ['sc', 'tso'] as const;
const SCENARIOS = path.join(__dirname, 'scenarios');
const EXAMPLES = path.join(__dirname, '../../examples');

const proofs: readonly { readonly what: string; readonly file: string; readonly args?: unknown }[] = [
  { what: 'a bind loses no event', file: path.join(SCENARIOS, 'bind.ts') },
  { what: 'an upcall finds all that was announced', file: path.join(SCENARIOS, 'dispatch.ts') },
  { what: 'an unmask loses no event', file: path.join(SCENARIOS, 'unmask.ts') },
  { what: 'a move takes the event along, once', file: path.join(SCENARIOS, 'rebind.ts') },
  { what: 'a completion wakes its waiter', file: path.join(SCENARIOS, 'completion.ts') },
  { what: 'the wallclock is read as a whole', file: path.join(SCENARIOS, 'clock.ts') },
  {
    what: 'a waiter for a paravirtual lock gets its turn, asleep or not',
    file: path.join(EXAMPLES, 'poll-spinlock.ts'),
    args: { rounds: 1, spins: 0 },
  },
];

describe('the guest library under exploration', () => {
  for (const { what, file, args } of proofs) {
    for (const memoryModel of MEMORY_MODELS) {
      it(`${what}, proven under ${memoryModel}`, async () => {
        const report = await explore(file, { memoryModel, args, strategy: 'dpor', maxExecutions: 20_000 });
        report.assertHeld();
        expect(report.complete).to.equal(true);
      });
    }
  }

  for (const memoryModel of MEMORY_MODELS) {
    for (const strategy of ['random', 'pct'] as const) {
      it(`a lock taken by a handler costs no other waiter its turn, ${strategy} under ${memoryModel}`, async () => {
        const file = path.join(SCENARIOS, 'nested-lock.ts');
        const report = await explore(file, { memoryModel, strategy, seed: 3, maxExecutions: 2000 });
        report.assertHeld();
      });
    }
  }
});
