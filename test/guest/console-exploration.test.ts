/** The console's driver against the daemon's code, in every interleaving: rings of one or two bytes, so that both sides wait. */
import path from 'node:path';
import { expect } from 'chai';
import { type ExploreOptions, explore } from '../../lib';

const LONG = process.env.UPCALL_LONG === '1';
const SCENARIO = path.join(__dirname, 'scenarios/console.ts');

interface Proof {
  readonly what: string;
  readonly args: object;
  readonly options?: ExploreOptions;
  readonly long?: boolean;
}

const atomic: ExploreOptions = { hypercalls: 'atomic' };

const proofs: readonly Proof[] = [
  { what: 'a byte out', args: { out: 1 } },
  { what: 'a byte out', args: { out: 1 }, options: { memoryModel: 'tso' } },
  { what: 'a byte in', args: { out: 0, in: 1 } },
  { what: 'a byte in', args: { out: 0, in: 1 }, options: { memoryModel: 'tso' } },
  { what: 'a byte each way', args: { out: 1, in: 1 }, options: atomic, long: true },
  { what: 'two bytes out of a ring of one', args: { out: 2 }, options: atomic, long: true },
  { what: 'two bytes in through a ring of one', args: { out: 0, in: 2 }, options: atomic, long: true },
];

describe('the PV console under exploration', () => {
  for (const { what, args, options = {}, long = false } of proofs) {
    if (long && !LONG) continue;
    const { memoryModel = 'sc', hypercalls = 'fine' } = options;
    it(`${what}: no wake-up and no byte is lost, proven under ${memoryModel}, hypercalls ${hypercalls}`, async () => {
      const report = await explore(SCENARIO, { ...options, args, strategy: 'dpor', maxExecutions: 2_000_000 });
      report.assertHeld();
      expect(report.complete).to.equal(true);
    });
  }

  it('two writers, a reader and a ring of two bytes: every byte once, what was written together stays together', async () => {
    const args = { writers: 2, out: 3, in: 2, limit: 2 };
    const maxExecutions = LONG ? 20_000 : 300;
    const options = { strategy: 'pct', seed: 5, maxSteps: 20_000, watchdogMs: 0 } as const;
    const report = await explore(SCENARIO, { ...options, vcpus: 3, args, maxExecutions });
    report.assertHeld();
  });
});
