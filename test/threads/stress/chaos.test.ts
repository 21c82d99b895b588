import { expect } from 'chai';
import { Chaos, type ChaosSetting, createColdMemory } from '../../../lib/engine/threads/stress/chaos';

const ITERATIONS = 400;
const ACCESSES = 20;
const cold = createColdMemory();

interface Seen {
  /** Per iteration: the accesses at which it was held, until its first look whether the others are through. */
  readonly held: readonly (readonly number[])[];
  readonly meetings: number;
}

/** A vCPU that makes so many accesses in each iteration, spinning after each or not. */
function lead(setting: Partial<ChaosSetting>, spins = false): Seen {
  const held: number[][] = [];
  let meetings = 0;
  let access = 0;
  const meet = () => {
    meetings++;
  };
  const othersThrough = () => {
    held.at(-1)?.push(access);
    return true;
  };
  const chaos = new Chaos({ slot: 0, vcpus: 2, alone: true, cold, meet, othersThrough, ...setting });
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    held.push([]);
    chaos.begin(iteration);
    for (access = 0; access < ACCESSES; access++) {
      chaos.delay();
      chaos.linger();
      if (spins) chaos.relax();
    }
    chaos.rest();
  }
  return { held, meetings };
}

describe('chaos', () => {
  it('holds a vCPU at the same places for the same seeds', () => {
    expect(lead({}).held).to.deep.equal(lead({}).held);
  });

  it('holds vCPUs at any of their accesses, at two of an iteration at most', () => {
    const { held } = lead({});
    expect(new Set(held.flat()).size).to.equal(ACCESSES);
    expect(Math.max(...held.map((places) => places.length))).to.equal(2);
  });

  it('leaves the other vCPUs alone where one is held', () => {
    const others = lead({ slot: 1 }).held;
    const pairs = lead({ slot: 0 }).held.map((places, iteration) => [places.length, others[iteration]?.length ?? 0]);
    expect(pairs.filter(([one = 0, other = 0]) => one + other > 2)).to.deep.equal([]);
    expect(pairs.some(([one, other]) => one === 1 && other === 0)).to.equal(true);
    expect(pairs.some(([one, other]) => one === 0 && other === 1)).to.equal(true);
  });

  it('does not take each turn of a spin-wait loop for a place of its own', () => {
    const held = lead({}, true).held.flat();
    expect(held).to.have.length.greaterThan(0);
    // The second hold of an iteration may be at the same place, in the next turn.
    expect(Math.max(...held)).to.be.at.most(1);
  });

  it('has the vCPUs begin together where each has a core, and only there', () => {
    expect(lead({}).meetings).to.equal(ITERATIONS);
    expect(lead({ alone: false }).meetings).to.equal(0);
  });
});
