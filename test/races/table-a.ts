/** Races of delivery, blocking and polling, and the move of a port: R01 to R20. */
import type { Budget, RaceRow } from './row';

const BOTH = ['sc', 'tso'] as const;
const TSO = ['tso'] as const;
const BOTH_ABIS = ['2l', 'fifo'] as const;

/** About five times what seed 1 takes, or 20 seeds at worst. */
const EASY: Budget = { random: 500, pct: 500, pos: 500, dfs: 500, dpor: 100 };
/**
 * The faulty window is a step or two wide, and most of a send has to fit into it: uniformly random switching meets that
 * seldom, a strategy with priorities does.
 */
const NARROW: Budget = { ...EASY, random: 50_000, pct: 2000, pos: 2000 };

export const TABLE_A: readonly RaceRow[] = [
  {
    file: 'r01-unmask-without-second-look',
    kind: 'deadlock',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 0,
    budget: EASY,
  },
  {
    file: 'r01-unmask-without-second-look',
    variant: 'look-first',
    kind: 'deadlock',
    models: BOTH,
    preemptions: 1,
    events: BOTH_ABIS,
    budget: EASY,
  },
  { file: 'r02-re-raise-on-the-wrong-vcpu', kind: 'deadlock', models: BOTH, preemptions: 0, budget: EASY },
  { file: 'r03-unmask-without-barrier', kind: 'deadlock', models: TSO, preemptions: 0, budget: EASY },
  {
    file: 'r04-pending-cleared-after-handler',
    kind: 'deadlock',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 1,
    budget: NARROW,
  },
  {
    file: 'r05-upcall-flag-cleared-after-scan',
    kind: 'deadlock',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 1,
    budget: NARROW,
  },
  {
    file: 'r05-upcall-flag-cleared-after-scan',
    variant: 'late-selector',
    kind: 'deadlock',
    models: BOTH,
    preemptions: 1,
    events: BOTH_ABIS,
    budget: NARROW,
  },
  {
    file: 'r06-clear-not-ordered-before-take',
    kind: 'deadlock',
    events: BOTH_ABIS,
    models: TSO,
    preemptions: 0,
    budget: NARROW,
  },
  { file: 'r07-plain-update-of-shared-word', kind: 'deadlock', models: BOTH, preemptions: 1, budget: NARROW },
  {
    file: 'r08-plain-update-of-flag-and-mask',
    kind: 'deadlock',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 1,
    budget: EASY,
  },
  { file: 'r09-selector-eaten-by-filter', kind: 'deadlock', models: BOTH, preemptions: 0, budget: EASY },
  {
    file: 'r10-binding-before-handler',
    kind: 'deadlock',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 0,
    budget: EASY,
  },
  {
    file: 'r10-binding-before-handler',
    variant: 'unmasked',
    kind: 'assertion',
    models: BOTH,
    preemptions: 0,
    events: BOTH_ABIS,
    budget: EASY,
  },
  {
    file: 'r11-upcall-between-enable-and-leave',
    kind: 'assertion',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 0,
    budget: EASY,
  },
  { file: 'r12-sender-marks-in-wrong-order', kind: 'deadlock', models: BOTH, preemptions: 1, budget: EASY },
  {
    file: 'r12-sender-marks-in-wrong-order',
    variant: 'selector-first',
    kind: 'deadlock',
    models: BOTH,
    preemptions: 1,
    budget: NARROW,
  },
  { file: 'r13-edge-while-line-in-service', kind: 'deadlock', models: BOTH, preemptions: 1, budget: NARROW },
  { file: 'r14-check-then-block', kind: 'deadlock', events: BOTH_ABIS, models: BOTH, preemptions: 1, budget: EASY },
  {
    file: 'r14-check-then-block',
    variant: 'enable-first',
    kind: 'deadlock',
    models: BOTH,
    preemptions: 0,
    events: BOTH_ABIS,
    budget: EASY,
  },
  { file: 'r15-block-flag-not-ordered', kind: 'deadlock', models: TSO, preemptions: 0, budget: NARROW },
  {
    file: 'r15-block-flag-not-ordered',
    variant: 'check-first',
    kind: 'deadlock',
    models: BOTH,
    preemptions: 1,
    budget: EASY,
  },
  { file: 'r16-poll-looks-at-its-ports-only', kind: 'deadlock', models: BOTH, preemptions: 0, budget: EASY },
  { file: 'r17-poll-on-dead-port', kind: 'deadlock', events: BOTH_ABIS, models: BOTH, preemptions: 0, budget: EASY },
  {
    file: 'r18-nested-lock-eats-kick',
    kind: 'deadlock',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 1,
    budget: EASY,
  },
  {
    file: 'r19-sleeping-before-kickable',
    kind: 'deadlock',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 0,
    budget: EASY,
  },
  {
    file: 'r20-rebind-while-pending',
    kind: 'assertion',
    events: BOTH_ABIS,
    models: BOTH,
    preemptions: 0,
    budget: EASY,
  },
  {
    file: 'r20-rebind-while-pending',
    variant: 'unmasked',
    kind: 'assertion',
    models: BOTH,
    preemptions: 0,
    events: ['fifo'],
    budget: EASY,
  },
];
