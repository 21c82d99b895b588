/** The library under every interleaving, or as many as there is time for: small guests in `scenarios/`. */
import path from 'node:path';
import { expect } from 'chai';
import { explore } from '../../lib';
import { EVENT_ABIS, type EventAbi } from '../../lib/guest/vcpu';

const LONG = process.env.UPCALL_LONG === '1';
const MEMORY_MODELS = ['sc', 'tso'] as const;
const SCENARIOS = path.join(__dirname, 'scenarios');
const EXAMPLES = path.join(__dirname, '../../examples');

interface Proof {
  readonly what: string;
  readonly file: string;
  readonly args?: unknown;
  /** Absent: either. */
  readonly events?: EventAbi;
  /** Memory models, by event-channel ABI, under which it takes too long for every day. */
  readonly long?: readonly string[];
}

const proofs: readonly Proof[] = [
  { what: 'a bind loses no event', file: path.join(SCENARIOS, 'bind.ts') },
  {
    what: 'an upcall finds all that was announced',
    file: path.join(SCENARIOS, 'dispatch.ts'),
    // 167,804 executions; a send less, below, is 1,356.
    long: ['fifo sc', 'fifo tso'],
  },
  {
    what: 'an upcall finds all that was announced once',
    file: path.join(SCENARIOS, 'dispatch.ts'),
    args: { again: false },
    events: 'fifo',
  },
  { what: 'an unmask loses no event', file: path.join(SCENARIOS, 'unmask.ts') },
  { what: 'a move takes the event along, once', file: path.join(SCENARIOS, 'rebind.ts'), long: ['fifo tso'] },
  { what: 'a completion wakes its waiter', file: path.join(SCENARIOS, 'completion.ts') },
  { what: 'the wallclock is read as a whole', file: path.join(SCENARIOS, 'clock.ts') },
  {
    what: 'a waiter for a paravirtual lock gets its turn, asleep or not',
    file: path.join(EXAMPLES, 'poll-spinlock.ts'),
    args: { rounds: 1, spins: 0 },
  },
  {
    what: 'two senders to queues of different priority lose nothing',
    file: path.join(SCENARIOS, 'fifo-enqueue.ts'),
    args: { to: 'queues' },
    events: 'fifo',
  },
  {
    what: 'two senders to one queue lose nothing',
    file: path.join(SCENARIOS, 'fifo-enqueue.ts'),
    args: { to: 'queue' },
    events: 'fifo',
    long: ['fifo tso'],
  },
  {
    what: 'a sender and one that disagrees on the queue of its event lose nothing',
    file: path.join(SCENARIOS, 'fifo-enqueue.ts'),
    args: { to: 'priority' },
    events: 'fifo',
  },
  {
    what: 'two senders that disagree on the queue of an event lose nothing',
    file: path.join(SCENARIOS, 'fifo-enqueue.ts'),
    args: { to: 'port' },
    events: 'fifo',
    // 59,648 executions.
    long: ['fifo sc', 'fifo tso'],
  },
];

describe('the guest library under exploration', () => {
  for (const { what, file, args, events: only, long = [] } of proofs) {
    for (const events of only === undefined ? EVENT_ABIS : [only]) {
      for (const memoryModel of MEMORY_MODELS) {
        if (!LONG && long.includes(`${events} ${memoryModel}`)) continue;
        it(`${what}, proven under ${memoryModel} with ${events} events`, async () => {
          const report = await explore(file, { memoryModel, args, events, strategy: 'dpor', maxExecutions: 200_000 });
          report.assertHeld();
          expect(report.complete).to.equal(true);
        });
      }
    }
  }

  for (const memoryModel of MEMORY_MODELS) {
    for (const strategy of ['random', 'pct'] as const) {
      for (const events of EVENT_ABIS) {
        it(`a lock taken by a handler costs no other waiter its turn, ${strategy}, ${memoryModel}, ${events}`, async () => {
          const file = path.join(SCENARIOS, 'nested-lock.ts');
          const report = await explore(file, { memoryModel, strategy, events, seed: 3, maxExecutions: 1000 });
          report.assertHeld();
        });
      }
    }
  }
});
