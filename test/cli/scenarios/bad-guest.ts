/** Guests that break the rules, by the name in args. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'bad-guest',
  vcpus: 2,
  words: { a: 0 },
  args: { does: 'nothing' },
  guest(vcpu) {
    const { a } = vcpu.words;
    const { does } = vcpu.domain.args;
    if (does === 'random') a.write(Math.floor(Math.random() * 2 ** 31));
    if (does === 'clock') a.write(Number(process.hrtime.bigint() & 0x7fffffffn));
    if (does === 'promise') return Promise.resolve(a.load());
    while (does === 'loop') a.add(1);
    while (does === 'stuck');
    while (does === 'spin' && a.load() === 0) vcpu.relax();
    a.read();
    return a.read();
  },
});
