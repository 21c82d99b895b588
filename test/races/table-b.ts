/** Races of moved ports, life times, storms, FIFO queues, records read while they change, one of emulators, grants: R21 to R47. */
import type { Budget, Holding, RaceRow } from './row';

const BOTH = ['sc', 'tso'] as const;
const TSO = ['tso'] as const;
const BOTH_ABIS = ['2l', 'fifo'] as const;

/** About five times what seed 1 takes, or a dozen seeds at worst. */
const EASY: Budget = { random: 500, pct: 500, pos: 500, dfs: 500, dpor: 100 };
/** Most of one vCPU's steps have to fit into a few of the other's: uniformly random switching meets that seldom. */
const NARROW: Budget = { ...EASY, random: 50_000, pct: 2000, pos: 2000 };
/** Three preemptions, each at one place only. */
const DEEP: Budget = { random: 100_000, pct: 200_000, pos: 20_000, dfs: 100_000, dpor: 500 };

/** The two have to take turns at every step. */
const STUBBORN: Budget = { random: 500, pct: 10_000, pos: 3000, dfs: 3000, dpor: 100 };

export const TABLE_B: readonly RaceRow[] = [
  {
    file: 'r21-send-races-with-rebind',
    kind: 'invariant',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 1,
    budget: NARROW,
  },
  {
    file: 'r22-two-vcpus-in-one-handler',
    kind: 'assertion',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 1,
    budget: NARROW,
  },
  {
    file: 'r23-one-mask-bit-two-owners',
    kind: 'assertion',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 1,
    budget: NARROW,
  },
  {
    file: 'r23-one-mask-bit-two-owners',
    variant: 'as-found',
    kind: 'assertion',
    models: BOTH,
    preemptions: 3,
    pctDepth: 5,
    events: BOTH_ABIS,
    budget: DEEP,
  },
  {
    file: 'r24-removal-during-dispatch',
    kind: 'assertion',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 1,
    budget: EASY,
  },
  {
    file: 'r24-removal-during-dispatch',
    variant: 'locked',
    kind: 'deadlock',
    models: BOTH,
    preemptions: 1,
    events: BOTH_ABIS,
    budget: EASY,
  },
  { file: 'r25-close-then-forget', kind: 'invariant', events: BOTH_ABIS, models: BOTH, preemptions: 1, budget: EASY },
  { file: 'r26-port-reused-with-old-state', kind: 'deadlock', models: BOTH, preemptions: 0, budget: EASY },
  { file: 'r27-reset-against-lock-free-user', kind: 'assertion', models: BOTH, preemptions: 1, budget: EASY },
  { file: 'r28-count-before-object', kind: 'assertion', models: BOTH, preemptions: 1, budget: EASY },
  { file: 'r29-event-storm', kind: 'assertion', events: BOTH_ABIS, models: BOTH, preemptions: 1, budget: EASY },
  {
    file: 'r30-ready-for-every-event',
    kind: 'assertion',
    models: BOTH,
    preemptions: 1,
    budget: { ...NARROW, dpor: 1000 },
  },
  { file: 'r31-old-tail-linked-again', kind: 'deadlock', models: BOTH, preemptions: 1, budget: EASY },
  {
    file: 'r31-old-tail-linked-again',
    variant: 'moved',
    kind: 'assertion',
    models: BOTH,
    preemptions: 0,
    budget: EASY,
  },
  {
    file: 'r32-endless-link-retry',
    kind: 'assertion',
    models: BOTH,
    preemptions: 6,
    pctDepth: 7,
    budget: STUBBORN,
  },
  { file: 'r33-poller-woken-before-event-is-queued', kind: 'deadlock', models: BOTH, preemptions: 2, budget: EASY },
  { file: 'r34-queue-read-in-halves', kind: 'assertion', models: BOTH, preemptions: 1, budget: EASY },
  { file: 'r35-event-before-its-array-page', kind: 'deadlock', models: BOTH, preemptions: 0, budget: EASY },
  {
    file: 'r35-event-before-its-array-page',
    variant: 'noted-late',
    kind: 'deadlock',
    models: BOTH,
    preemptions: 1,
    budget: EASY,
  },
  { file: 'r36-vcpu-info-moved-under-sender', kind: 'assertion', models: BOTH, preemptions: 1, budget: EASY },
  { file: 'r40-torn-wallclock', kind: 'assertion', models: BOTH, preemptions: 1, budget: EASY },
  {
    file: 'r40-torn-wallclock',
    variant: 'odd-accepted',
    kind: 'assertion',
    models: BOTH,
    preemptions: 1,
    budget: EASY,
  },
  {
    file: 'r40-torn-wallclock',
    variant: 'no-second-look',
    kind: 'assertion',
    models: BOTH,
    preemptions: 1,
    budget: EASY,
  },
  {
    file: 'r40-torn-wallclock',
    variant: 'late-version',
    kind: 'assertion',
    models: BOTH,
    preemptions: 1,
    budget: EASY,
  },
  { file: 'r41-torn-runstate', kind: 'assertion', models: BOTH, preemptions: 1, budget: NARROW },
  {
    file: 'r41-torn-runstate',
    variant: 'flag-first',
    kind: 'assertion',
    models: BOTH,
    preemptions: 3,
    pctDepth: 4,
    budget: DEEP,
  },
  { file: 'r42-ring-index-before-data', kind: 'assertion', models: BOTH, preemptions: 1, budget: EASY },
  { file: 'r43-ring-without-final-look', kind: 'deadlock', models: BOTH, preemptions: 2, budget: NARROW },
  {
    file: 'r43-ring-without-final-look',
    variant: 'no-barrier-consumer',
    kind: 'deadlock',
    models: TSO,
    preemptions: 0,
    budget: NARROW,
  },
  {
    file: 'r43-ring-without-final-look',
    variant: 'no-barrier-producer',
    kind: 'deadlock',
    models: TSO,
    preemptions: 0,
    budget: NARROW,
  },
  { file: 'r44-ring-double-fetch', kind: 'assertion', models: BOTH, preemptions: 1, budget: EASY },
  { file: 'r45-ring-index-arithmetic', kind: 'assertion', models: BOTH, preemptions: 0, budget: EASY },
  { file: 'r46-sender-reads-targets-mask', kind: 'deadlock', models: TSO, preemptions: 0, budget: EASY },
  { file: 'r47-grant-revoked-while-mapped', kind: 'assertion', models: BOTH, preemptions: 2, budget: NARROW },
  { file: 'r50-watch-missed-after-look', kind: 'deadlock', models: BOTH, preemptions: 1, budget: EASY },
];

/** Further variants that are proven to hold, besides `fixed` of every file. */
export const ALSO_HOLD: readonly Holding[] = [
  { file: 'r20-rebind-while-pending', variant: 'unmasked', events: '2l' },
  { file: 'r21-send-races-with-rebind', variant: 'unfiltered', events: '2l' },
  { file: 'r21-send-races-with-rebind', variant: 'unfiltered', events: 'fifo' },
  { file: 'r31-old-tail-linked-again', variant: 'fixed-moved', events: '2l' },
  { file: 'r32-endless-link-retry', variant: 'rude', events: '2l' },
  { file: 'r36-vcpu-info-moved-under-sender', variant: 'xen', events: '2l' },
  { file: 'r36-vcpu-info-moved-under-sender', variant: 'xen', events: 'fifo' },
];
