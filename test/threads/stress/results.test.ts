import { expect } from 'chai';
import { createResults, Results } from '../../../lib/engine/threads/stress/results';

describe('results on their way to the check', () => {
  const buffer = createResults(3);
  const guest = new Results(buffer);
  const conductor = new Results(buffer);

  for (const value of [undefined, 0, -0.5, Number.NaN, 'text', null, [1, { two: 2n }], new Map([[1, 2]])]) {
    it(`are what the guest returned: ${typeof value === 'object' ? JSON.stringify(value === null) : String(value)}`, () => {
      guest.put(0, 'before');
      guest.put(1, value);
      guest.put(2, 'after');
      expect(conductor.take(1)).to.deep.equal(value);
      expect([conductor.take(0), conductor.take(2)]).to.deep.equal(['before', 'after']);
    });
  }

  it('are refused when they are too large, or no data', () => {
    expect(() => guest.put(0, 'x'.repeat(100_000))).to.throw(RangeError, /a result may have 16384 bytes/);
    expect(() => guest.put(0, () => {})).to.throw(/could not be cloned/);
  });
});
