import { expect } from 'chai';
import { planMachine } from '../../lib/engine/machine-plan';
import { defineScenario } from '../../lib/engine/scenario';

const guest = () => {};
const single = defineScenario({ name: 'one', vcpus: 2, words: { a: 7, list: [1, 0] }, args: { n: 1 }, guest });
const several = defineScenario({
  name: 'two',
  domains: { front: { guests: [guest, guest] }, back: { guest, abi: 'arm64', privileged: true, pirqs: [80] } },
});

describe('planMachine', () => {
  it('lays a cache line out for each word, after start_info', () => {
    const { words } = planMachine(single).domains[0]!;
    expect(words.table).to.deep.equal({ a: 0x3000, list: [0x3040, 0x3080] });
    expect(words.initial).to.deep.equal([
      { address: 0x3000, value: 7 },
      { address: 0x3040, value: 1 },
    ]);
    expect(words.endAddress).to.equal(0x30c0);
  });

  it('numbers domains from 1 and tells each guest of all', () => {
    const [front, back] = planMachine(several).domains;
    expect([front?.config.id, back?.config.id]).to.deep.equal([1, 2]);
    expect(front?.guestDomain.domains).to.deep.equal({ front: 1, back: 2 });
    expect(back?.guestDomain).to.include({ id: 2, name: 'back', abi: 'arm64', vcpus: 1 });
  });

  it('makes the first privileged domain the hardware domain', () => {
    const { domains, machine } = planMachine(several);
    expect(domains.map(({ config }) => config.hardwareDomain)).to.deep.equal([false, true]);
    expect(machine.irqs).to.equal(81);
  });

  it('takes vCPUs for the first domain, the ABI for all, and copies the args', () => {
    const args = { n: 2 };
    const plan = planMachine(single, { vcpus: 5, abi: 'x86_32', args });
    expect(plan.domains[0]?.config).to.include({ vcpus: 5, abi: 'x86_32' });
    expect(plan.args).to.deep.equal(args);
    expect(plan.args).to.be.frozen;
    expect(args).to.not.be.frozen;
    expect(planMachine(single).args).to.deep.equal({ n: 1 });
  });

  it('grows the memory with the words', () => {
    const many = defineScenario({ name: 'many', words: { list: new Array(64 * 30).fill(0) }, guest });
    expect(planMachine(many).domains[0]?.config.frames).to.equal(33 + 48);
    expect(planMachine(single).domains[0]?.config.frames).to.equal(64);
  });

  for (const [options, message] of [
    [{ vcpus: 0 }, /vcpus must be an integer from 1 to 128, not 0/],
    [{ vcpus: 5000 }, /not 5000/],
    [{ vcpus: 'x' }, /not 'x'/],
    [{ abi: 'mips' }, /unknown ABI 'mips'/],
    [{ args: { f() {} } }, /plain data/],
  ] as const) {
    it(`rejects the options ${Object.keys(options)[0]} ${JSON.stringify(Object.values(options)[0])}`, () => {
      expect(() => planMachine(single, options as any)).to.throw(message);
    });
  }

  it('does not change the number of vCPUs of a domain with a list of guests', () => {
    expect(() => planMachine(several, { vcpus: 3 })).to.throw(/has 2 guests, one per vCPU/);
    expect(planMachine(several, { vcpus: 2 }).domains[0]?.config.vcpus).to.equal(2);
  });

  it('does not run a domain under another event-channel ABI than it states', () => {
    const stating = (events: '2l' | 'fifo') => defineScenario({ name: 'stating', events, guest });
    expect(() => planMachine(stating('2l'), { events: 'fifo' })).to.throw(
      /'stating' is written for .* 2l: .* with fifo/,
    );
    expect(() => planMachine(stating('fifo'), { events: '2l' })).to.throw(
      /'stating' is written for .* fifo: .* with 2l/,
    );
    expect(planMachine(stating('fifo'), { events: 'fifo' }).domains[0]?.guestDomain.events).to.equal('fifo');
    expect(planMachine(single, { events: 'fifo' }).domains[0]?.guestDomain.events).to.equal('fifo');
  });
});
