/** A thousand ports of vCPU 0, to which all other vCPUs send at random. It sleeps whenever nothing is pending. */
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, haltUntil } from '../../../lib/guest';
import { Tally } from './tally';

const PORTS = 1000;
/** Sends between two looks at the clock. */
const BURST = 100;

export default defineScenario({
  name: 'fan-in',
  vcpus: 40,
  words: { mail: new Array<number>(PORTS).fill(0), bell: 0, first: 0, ready: 0, done: 0, silent: 0 },
  args: { rounds: 20, seconds: 0 },
  frames: 256,
  guest(vcpu) {
    const { mail, bell, first, ready, done, silent } = vcpu.words;
    const { rounds, seconds } = vcpu.domain.args;
    const tally = new Tally(vcpu);
    const events = new Events(vcpu);
    if (vcpu.id === 0) {
      const ports = mail.map((word) => events.bindIpi(tally.handlerOf(word)));
      first.store(ports[0]!);
      // Rung by each sender when it has done.
      const last = events.bindIpi(tally.handlerOf(bell));
      vcpu.assert(last === ports[0]! + PORTS, 'the ports follow each other');
      const senders = vcpu.domain.vcpus - 1;
      ready.store(1);
      haltUntil(vcpu, () => done.load() === senders);
      while (silent.load() < senders) vcpu.relax();
      vcpu.hypercall.xenVersion();
      return tally.result();
    }
    while (ready.load() === 0) vcpu.relax();
    const low = first.load();
    const end = vcpu.now() + seconds * 1e9;
    for (let round = 0; seconds === 0 ? round < rounds : vcpu.now() < end; round++) {
      for (let i = 0; i < BURST; i++) {
        const at = Math.floor(vcpu.random() * PORTS);
        tally.send(low + at, mail[at]!);
      }
    }
    done.add(1);
    tally.send(low + PORTS, bell);
    silent.add(1);
    return tally.result();
  },
});
