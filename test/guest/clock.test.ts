import { expect } from 'chai';
import fc from 'fast-check';
import { scaleTicks } from '../../lib/guest/clock';

/** The definition, in exact arithmetic. */
function exact(ticks: number, multiplier: number, shift: number): bigint {
  const shifted = shift >= 0 ? BigInt(ticks) << BigInt(shift) : BigInt(ticks) >> BigInt(-shift);
  return (shifted * BigInt(multiplier)) >> 32n;
}

describe('scaleTicks', () => {
  it('equals the 64 by 32 bit product, whatever fits a number', () => {
    const ticks = fc.oneof(fc.maxSafeNat(), fc.nat());
    const multiplier = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0x80000000, 0xffffffff, 1));
    fc.assert(
      fc.property(ticks, multiplier, fc.integer({ min: -31, max: 31 }), (t, m, s) => {
        const expected = exact(t, m, s);
        fc.pre(expected <= BigInt(Number.MAX_SAFE_INTEGER));
        expect(scaleTicks(t, m, s)).to.equal(Number(expected));
      }),
      { numRuns: 5000, seed: 40 },
    );
  });

  it('is the identity for a 1 GHz clock', () => {
    for (const ticks of [0, 1, 999_999_999, 2 ** 32, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
      expect(scaleTicks(ticks, 0x80000000, 1)).to.equal(ticks);
    }
  });
});
