import { expect } from 'chai';
import fc from 'fast-check';
import { AtomicsMemory } from '../../lib/memory/atomics-memory';

const BYTES = 4096;

function fresh(): AtomicsMemory {
  return new AtomicsMemory(new SharedArrayBuffer(BYTES));
}

/** Numbers a guest may hand over where an address belongs. */
const HOSTILE = [-1, -4, 0.5, 4.25, Number.NaN, 2 ** 31, 2 ** 32, 2 ** 32 + 8, 2 ** 53, 1e300, Infinity, -Infinity];

type Operation = 'add' | 'and' | 'or' | 'xor' | 'exchange';

const MEANING: Readonly<Record<Operation, (old: number, operand: number) => number>> = {
  add: (old, operand) => old + operand,
  and: (old, operand) => old & operand,
  or: (old, operand) => old | operand,
  xor: (old, operand) => old ^ operand,
  exchange: (_old, operand) => operand,
};

for (const [width, wrap, any] of [
  [8, (value: number) => value & 0xff, fc.integer({ min: 0, max: 255 })],
  [32, (value: number) => value | 0, fc.integer()],
] as const) {
  describe(`AtomicsMemory, ${width}-bit accesses`, () => {
    for (const [name, meaning] of Object.entries(MEANING)) {
      it(`${name}${width} changes the word modulo 2^${width} and returns the old value`, () => {
        const memory = fresh();
        fc.assert(
          fc.property(any, fc.integer(), (old, operand) => {
            memory[`write${width}`](64, old);
            expect(memory[`${name as Operation}${width}`](64, operand)).to.equal(old);
            expect(memory[`load${width}`](64)).to.equal(wrap(meaning(old, operand)));
          }),
          { seed: 1 },
        );
      });
    }

    it(`compareExchange${width} stores only if the word is as expected, and returns it either way`, () => {
      const memory = fresh();
      memory[`store${width}`](8, 5);
      expect(memory[`compareExchange${width}`](8, 4, 9)).to.equal(5);
      expect(memory[`read${width}`](8)).to.equal(5);
      expect(memory[`compareExchange${width}`](8, 5, 9)).to.equal(5);
      expect(memory[`read${width}`](8)).to.equal(9);
    });

    it('plain and atomic accesses see the same word', () => {
      const memory = fresh();
      memory[`write${width}`](16, 77);
      expect(memory[`load${width}`](16)).to.equal(77);
      memory[`store${width}`](16, 78);
      expect(memory[`read${width}`](16)).to.equal(78);
    });

    it('every access outside the region throws RangeError and changes nothing', () => {
      const memory = fresh();
      const addresses = [...HOSTILE, BYTES, BYTES + 4, ...(width === 32 ? [1, 2, 3, BYTES - 3] : [])];
      for (const address of addresses) {
        const attempts: (() => unknown)[] = [
          () => memory[`read${width}`](address),
          () => memory[`write${width}`](address, 1),
          () => memory[`load${width}`](address),
          () => memory[`store${width}`](address, 1),
          () => memory[`compareExchange${width}`](address, 0, 1),
          ...Object.keys(MEANING).map((name) => () => memory[`${name as Operation}${width}`](address, 1)),
        ];
        for (const attempt of attempts) expect(attempt, `${attempt} at ${address}`).to.throw(RangeError);
      }
      expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).to.equal(true);
    });
  });
}

describe('AtomicsMemory', () => {
  it('keeps words little-endian', () => {
    const memory = fresh();
    memory.write32(0, 0x04030201);
    expect([0, 1, 2, 3].map((address) => memory.read8(address))).to.deep.equal([1, 2, 3, 4]);
  });

  it('reads 32-bit words signed', () => {
    const memory = fresh();
    memory.write32(0, 0xffffffff);
    expect(memory.read32(0)).to.equal(-1);
    expect(memory.or32(0, 0)).to.equal(-1);
  });

  it('contains what lies inside, and the empty range at its end', () => {
    const memory = fresh();
    expect(memory.contains(0, BYTES)).to.equal(true);
    expect(memory.contains(BYTES - 4, 4)).to.equal(true);
    expect(memory.contains(BYTES, 0)).to.equal(true);
    expect(memory.contains(BYTES - 3, 4)).to.equal(false);
    expect(memory.contains(0, BYTES + 1)).to.equal(false);
  });

  it('contains nothing at an address, or of a length, that is no such thing', () => {
    const memory = fresh();
    for (const number of HOSTILE) {
      expect(memory.contains(number, 4), `address ${number}`).to.equal(false);
      if (number !== 0.5 && number !== 4.25) expect(memory.contains(0, number), `length ${number}`).to.equal(false);
    }
  });

  it('fence and notify without sleepers do nothing', () => {
    const memory = fresh();
    memory.fence();
    expect(memory.notify32(0)).to.equal(0);
    expect(memory.notify32(0, Number.NaN)).to.equal(0);
  });

  it('does not wait on a word that has changed, nor past a limit of no time', () => {
    const memory = fresh();
    expect(memory.wait32(0, 1)).to.equal('not-equal');
    for (const timeoutNs of [0, -1, -Infinity, Number.NaN, 1000]) {
      expect(memory.wait32(0, 0, timeoutNs)).to.equal('timed-out');
    }
  });

  it('throws for waiting or notifying outside the region', () => {
    const memory = fresh();
    for (const address of [...HOSTILE, BYTES, 2]) {
      expect(() => memory.wait32(address, 0, 0)).to.throw(RangeError);
      expect(() => memory.notify32(address)).to.throw(RangeError);
    }
  });
});

describe('AtomicsMemory locks, one thread', () => {
  it('leave the word 0 when everybody is gone', () => {
    const memory = fresh();
    memory.readLock(0);
    memory.readLock(0);
    memory.readUnlock(0);
    memory.readUnlock(0);
    memory.writeLock(0);
    memory.writeUnlock(0);
    expect(memory.load32(0)).to.equal(0);
  });

  it('let another reader try successfully while a reader holds', () => {
    const memory = fresh();
    memory.readLock(0);
    expect(memory.readTrylock(0)).to.equal(true);
    memory.readUnlock(0);
    memory.readUnlock(0);
    expect(memory.load32(0)).to.equal(0);
  });

  it('refuse a reader that tries while a writer holds, and forget it', () => {
    const memory = fresh();
    memory.writeLock(0);
    const held = memory.load32(0);
    expect(memory.readTrylock(0)).to.equal(false);
    expect(memory.load32(0)).to.equal(held);
    memory.writeUnlock(0);
    expect(memory.readTrylock(0)).to.equal(true);
  });

  it('report a release without a hold', () => {
    expect(() => fresh().readUnlock(8)).to.throw('lock at 8 was not held');
    expect(() => fresh().writeUnlock(8)).to.throw('lock at 8 was not held');
  });
});
