import { expect } from 'chai';
import { StepBudget } from '../../lib/engine/invariants/step-budget';
import { defineScenario } from '../../lib/engine/scenario';

describe('StepBudget', () => {
  it('counts the steps of an upcall, those of hypercalls in it included', () => {
    const budget = new StepBudget({ upcall: 10, hypercall: 5 });
    budget.enter('upcall', 100);
    budget.enter('EVTCHNOP_send', 103);
    expect(budget.exit(108)).to.equal(undefined);
    expect(budget.look(110)).to.equal(undefined);
    expect(budget.exit(111)).to.equal('an upcall has taken more than 10 steps');
  });

  it('names the hypercall that takes too long, and forgets what has ended', () => {
    const budget = new StepBudget({ upcall: 10, hypercall: 5 });
    budget.enter('EVTCHNOP_send', 0);
    expect(budget.exit(6)).to.equal('EVTCHNOP_send has taken more than 5 steps');
    expect(budget.look(1000)).to.equal(undefined);
  });
});

describe('invariants of a scenario', () => {
  const words = { prod: 0, slots: [0, 0] };

  function define(invariants: unknown): void {
    defineScenario({ name: 's', words, guest() {}, invariants: invariants as never });
  }

  it('may be plain names and objects that name words', () => {
    define(['no-dead-port', 'no-dead-upcall', 'no-sleeper-with-work', 'bit-conservation', 'snapshot', 'bounded-steps']);
    define([
      { name: 'ring', prod: 'prod', cons: 'slots[1]', size: 4 },
      { name: 'ownership', table: 'slots' },
      { name: 'bounded-steps', upcall: 100 },
    ]);
  });

  const mistakes: readonly [unknown, RegExp][] = [
    ['ring', /invariants must be a list/],
    [['no-such'], /unknown invariant 'no-such': there are no-dead-port, /],
    [[7], /each is a name, or an object with a name/],
    [['ring'], /'ring', prod: there is no word 'undefined'; write \{ name: 'ring'/],
    [[{ name: 'ring', prod: 'prod', cons: 'cons', size: 4 }], /'ring', cons: there is no word 'cons'/],
    [[{ name: 'ring', prod: 'slots', cons: 'prod', size: 4 }], /there is no word 'slots'/],
    [[{ name: 'ring', prod: 'slots[2]', cons: 'prod', size: 4 }], /there is no word 'slots\[2\]'/],
    [[{ name: 'ring', prod: 'prod', cons: 'prod', size: -1 }], /size: -1 is no number that fits/],
    [[{ name: 'ownership', table: 'prod' }], /'prod' is not an array of words/],
    [[{ name: 'no-dead-port', port: 1 }], /takes nothing but its name/],
    [[{ name: 'delivery', port: 1, run: 'prod' }], /has no 'run': write/],
    [[{ name: 'snapshot', record: 'clock', copy: [] }], /there is no record 'clock'/],
    [[{ name: 'snapshot', record: 'wallclock', copy: ['prod'] }], /a wallclock record has 2 words/],
    [[{ name: 'no-overlap', running: 'prod', domain: 'x' }], /there is no domain 'x'/],
  ];
  for (const [invariants, message] of mistakes) {
    it(`are refused with ${message}`, () => {
      expect(() => define(invariants)).to.throw(message);
    });
  }
});
