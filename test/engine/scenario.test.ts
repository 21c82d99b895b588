import { expect } from 'chai';
import { ScenarioError } from '../../lib/engine/errors';
import { defineScenario, isScenario } from '../../lib/engine/scenario';

const guest = () => {};

/** What defining a malformed scenario says. */
function complaint(spec: unknown): string {
  try {
    defineScenario(spec as any);
  } catch (error) {
    expect(error).to.be.instanceOf(ScenarioError);
    expect((error as ScenarioError).code).to.equal('SCENARIO_INVALID');
    expect((error as Error).message).to.not.contain('\n');
    return (error as Error).message;
  }
  throw new Error('the scenario was accepted');
}

describe('defineScenario', () => {
  it('returns the specification, frozen all the way down', () => {
    const scenario = defineScenario({ name: 'x', words: { a: 1, b: [1, 2] }, args: { deep: { list: [1] } }, guest });
    expect(scenario.words?.b).to.deep.equal([1, 2]);
    for (const part of [scenario, scenario.words, scenario.words?.b, scenario.args]) expect(part).to.be.frozen;
    expect((scenario.args as any).deep.list).to.be.frozen;
    expect(isScenario(scenario)).to.equal(true);
  });

  it('knows a scenario from what looks like one', () => {
    expect(isScenario({ name: 'x', guest })).to.equal(false);
    expect(isScenario(undefined)).to.equal(false);
    expect(isScenario('x')).to.equal(false);
  });

  it('remembers the file that defines it and counts its scenarios', () => {
    const first = defineScenario({ name: 'x', guest });
    const second = defineScenario({ name: 'y', guest });
    expect(first.origin.file).to.equal(__filename);
    expect(second.origin.file).to.equal(__filename);
    expect(second.origin.index).to.equal(first.origin.index + 1);
  });

  const mistakes: readonly [string, unknown, RegExp][] = [
    ['no object', undefined, /takes an object/],
    ['no name', { guest }, /needs a name/],
    ['an empty name', { name: '', guest }, /needs a name/],
    ['no guest', { name: 'x' }, /'x': no guest/],
    ['guest and guests', { name: 'x', guest, guests: [guest] }, /guest or guests, not both/],
    ['a guest that is no function', { name: 'x', guest: 3 }, /guest must be a function, not 3/],
    ['an empty list of guests', { name: 'x', guests: [] }, /guests must be a list of 1 to 128/],
    ['as many vcpus as there are not guests', { name: 'x', vcpus: 3, guests: [guest] }, /vcpus is 3 but there are 1/],
    ['no vcpus', { name: 'x', guest, vcpus: 0 }, /vcpus must be an integer from 1 to 128, not 0/],
    ['too many vcpus', { name: 'x', guest, vcpus: 5000 }, /not 5000/],
    ['vcpus in words', { name: 'x', guest, vcpus: 'x' }, /not 'x'/],
    ['half a vCPU', { name: 'x', guest, vcpus: 1.5 }, /not 1.5/],
    ['an unknown ABI', { name: 'x', guest, abi: 'mips' }, /abi must be one of x86_64, .*not 'mips'/],
    ['an unknown start', { name: 'x', guest, start: 'some' }, /start must be 'all' or 'boot'/],
    ['a port limit beyond the ABI', { name: 'x', guest, abi: 'x86_32', maxPort: 1024 }, /from 1 to 1023/],
    ['a word that is no integer', { name: 'x', guest, words: { w: 'a' } }, /words\.w must be a 32-bit integer/],
    ['an empty list of words', { name: 'x', guest, words: { w: [] } }, /words\.w/],
    ['a word of 33 bits', { name: 'x', guest, words: { w: 2 ** 32 } }, /words\.w/],
    ['words that do not fit', { name: 'x', guest, frames: 4, words: { w: new Array(200).fill(0) } }, /need 7 frames/],
    ['the same PIRQ twice', { name: 'x', guest, pirqs: [1, 1] }, /pirqs must be a list of different/],
    ['a field nobody knows', { name: 'x', gest: guest }, /unknown field 'gest'/],
    ['a setup that is no function', { name: 'x', guest, setup: 1 }, /setup must be a function/],
    ['a device that is no function', { name: 'x', guest, devices: { disk: 1 } }, /devices\.disk must be a function/],
    ['no domain', { name: 'x', domains: {} }, /at least one domain/],
    ['a domain without guest', { name: 'x', domains: { a: {} } }, /domain 'a': no guest/],
    ['a guest beside domains', { name: 'x', guest, domains: { a: { guest } } }, /'guest' belongs to each domain/],
    ['two hardware domains', { name: 'x', domains: twoHardwareDomains() }, /only one domain can be the hardwareDomain/],
  ];
  for (const [what, spec, message] of mistakes) {
    it(`rejects ${what} in one line`, () => {
      expect(complaint(spec)).to.match(message);
    });
  }

  it('infers the words of a guest, and of each of several domains', () => {
    // Compiled by the type check, never run.
    const typed = () => {
      defineScenario({
        name: 'x',
        words: { rounds: 0, slots: [0, 0] },
        guest(vcpu) {
          vcpu.words.slots[1].add(vcpu.words.rounds.read());
          // @ts-expect-error: there is no such word
          vcpu.words.nope.add(1);
        },
        check({ words }) {
          words.rounds.read();
        },
      });
      defineScenario({
        name: 'x',
        domains: {
          front: { words: { a: 0 }, guest: (vcpu) => vcpu.words.a.add(1) },
          back: {
            words: { b: 0 },
            guest(vcpu) {
              vcpu.words.b.add(1);
              // @ts-expect-error: a word of the other domain
              vcpu.words.a.add(1);
            },
          },
        },
      });
    };
    expect(typed).to.be.a('function');
  });
});

function twoHardwareDomains() {
  return { a: { guest, hardwareDomain: true }, b: { guest, hardwareDomain: true } };
}
