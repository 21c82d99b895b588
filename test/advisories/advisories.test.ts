/**
 * Xen's own advisories on event channels, as far as their classes can exist here: each has a scenario over our hypervisor whose
 * invariant holds in every interleaving that is explored, and under stress on free-running threads.
 *
 * Elsewhere: double fetch of arguments (XSA-155's class), random pointers and any number as a port: test/hypervisor/hostile.test.ts
 * and the campaign hostile; the guest's side of the same races, each with its faulty form: examples/races R20 to R36.
 */
import path from 'node:path';
import { expect } from 'chai';
import { type ExploreOptions, explore, shutdownPool, stress } from '../../lib';
import type { EventAbi } from '../../lib/guest/vcpu';

const LONG = process.env.UPCALL_LONG === '1';
const STRESS_MS = LONG ? 10_000 : 100;
/** Executions of dpor under sc, and of pct under tso: bounded, unless the space is exhausted before. */
const EXPLORED = LONG ? 20_000 : 200;
const SAMPLED = LONG ? 5000 : 50;

interface Row {
  readonly advisories: string;
  /** Of scenarios/. */
  readonly scenario: string;
  /** What holds. */
  readonly invariant: string;
  readonly args?: readonly object[];
  /** Default: as the scenario says. */
  readonly events?: readonly EventAbi[];
  /** Executions, where they are long, or short enough to exhaust the space. */
  readonly explored?: number;
  /** What some of the executions come to. */
  readonly outcomes?: readonly string[];
  /** Arguments for the stress, which can afford more. */
  readonly stressArgs?: object;
}

const FIFO_OPS = ['send', 'unmask', 'poll', 'setPriority', 'bindIpi', 'bindVcpu', 'status', 'close', 'far'];

const ROWS: readonly Row[] = [
  {
    advisories: 'XSA-343 (evtchn_reset races with lock-free users)',
    scenario: 'reset-under-way',
    invariant: 'nobody writes to the FIFO pages once a reset has given them back',
    args: FIFO_OPS.map((op) => ({ op })),
  },
  {
    advisories: 'XSA-505 (FIFO state looked for outside the lock)',
    scenario: 'reset-under-way',
    invariant: 'expand_array and init_control come before or after a reset',
    args: ['expandArray', 'initControl'].map((op) => ({ op })),
  },
  {
    advisories: 'XSA-343 (interrupts are sent without the domain’s lock)',
    scenario: 'interrupt-on-reused-port',
    invariant: 'no interrupt lands on the next owner of its port',
    args: [{ kind: 'virq' }, { kind: 'pirq' }],
  },
  {
    advisories: 'XSA-338 (valid event channels turn invalid)',
    scenario: 'valid-port-turns-invalid',
    invariant: 'an operation on a port beyond the new limit is refused or done, and writes nothing behind the bitmaps',
    args: ['send', 'unmask', 'poll', 'setPriority', 'status', 'close'].map((op) => ({ op })),
    explored: LONG ? 100 : 10,
  },
  {
    advisories: 'XSA-342 (out-of-bounds event channels of 32-bit domains)',
    scenario: 'port-out-of-range',
    invariant: 'the bitmaps’ size limits the ports, each is handed out once, operations beyond are refused',
  },
  {
    advisories: 'XSA-107 (FIFO events without a control block)',
    scenario: 'no-control-block',
    invariant: 'events are dropped until there is one, and none afterwards',
  },
  {
    advisories: 'XSA-221 (poll on a port without an event word)',
    scenario: 'poll-without-event-word',
    invariant: 'the poller sleeps, and the event ends its sleep whenever the page comes',
  },
  {
    advisories: 'XSA-340, XSA-358, XSA-359 (published before it is complete)',
    scenario: 'published-before-ready',
    invariant: 'a port that a sender finds is complete, and its event is delivered',
    args: [{ fifo: false }, { fifo: true }],
  },
  {
    advisories: 'XSA-332 (event storms)',
    scenario: 'storm',
    invariant: 'each upcall and hypercall takes a bounded number of steps, and the last event is not lost',
    events: ['2l', 'fifo'],
    stressArgs: { sends: 50 },
  },
  {
    advisories: 'XSA-344 (reset without preemption)',
    scenario: 'resets-at-once',
    invariant: 'one reset at a time, others in between, and no port half closed',
    outcomes: ['EBUSY', 'EAGAIN'],
  },
  {
    advisories: 'XSA-295 (a word the guest keeps rewriting)',
    scenario: 'word-never-still',
    invariant: 'a sender’s hypercalls take a bounded number of steps',
    explored: 12_000,
    stressArgs: { writes: 200 },
  },
  {
    advisories: 'XSA-331, XSA-441 (a handler runs after its removal; the lock against it)',
    scenario: 'handler-after-removal',
    invariant: 'no handler runs once its port was removed, the next owner’s does, nobody waits for anybody',
    events: ['2l', 'fifo'],
    stressArgs: { sends: 10 },
  },
];

async function expectHeld(scenario: string, options: ExploreOptions): Promise<string> {
  const { executions, failure, outcomes } = await explore(path.join(__dirname, 'scenarios', `${scenario}.ts`), options);
  expect(failure?.message, `execution ${executions}: ${failure?.kind}, token ${failure?.token}`).to.equal(undefined);
  expect(executions).to.be.at.least(1);
  return JSON.stringify(outcomes);
}

describe('advisories of Xen’s', function () {
  this.timeout(LONG ? 900_000 : 60_000);
  after(() => shutdownPool());

  for (const {
    advisories,
    scenario,
    invariant,
    args = [undefined],
    events = [undefined],
    stressArgs,
    ...row
  } of ROWS) {
    describe(`${advisories}: ${invariant}`, () => {
      for (const abi of events) {
        for (const each of args) {
          const how = [...Object.values(each ?? {}), abi ?? ''].join(' ');
          it(`explored: ${scenario} ${how}`, async () => {
            const common = { watchdogMs: 120_000, ...(each && { args: each }), ...(abi && { events: abi }) };
            const { explored, outcomes = [] } = row;
            const reached = [
              await expectHeld(scenario, { ...common, maxExecutions: explored ?? EXPLORED }),
              await expectHeld(scenario, {
                ...common,
                strategy: 'pct',
                memoryModel: 'tso',
                maxExecutions: explored ?? SAMPLED,
              }),
            ].join();
            for (const outcome of outcomes) expect(reached).to.contain(outcome);
          });
        }

        it(`under stress: ${scenario} ${abi ?? ''}`, async () => {
          for (const each of args) {
            const { failures, iterations } = await stress(path.join(__dirname, 'scenarios', `${scenario}.ts`), {
              ...((each || stressArgs) && { args: { ...each, ...stressArgs } }),
              ...(abi && { events: abi }),
              durationMs: STRESS_MS / args.length,
              seed: 1,
              chaos: true,
              watchdogMs: 30_000,
              reconstruct: false,
            });
            const [first] = failures;
            expect(first?.message, `${JSON.stringify(each ?? {})}, iteration ${first?.iteration}`).to.equal(undefined);
            expect(iterations).to.be.at.least(1);
          }
        });
      }
    });
  }
});
