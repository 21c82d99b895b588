/**
 * All the ports a domain can have, and vCPUs that send to them at random. vCPU 0 binds and serves them, and closes them at the end;
 * each of the others sends `args.sends` events, or goes on for `args.seconds`.
 */
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, haltUntil, irqDisable, irqEnable } from '../../../lib/guest';
import { Word32 } from '../../../lib/memory/fields';
import { Tally } from './tally';

/** Sends between two looks at the clock. */
const BURST = 1000;
/** Above the named words: a mail word per port. */
const MAIL = 0x10_0000;

export default defineScenario({
  name: 'all-ports',
  events: 'fifo',
  maxPort: 131_071,
  frames: 1024,
  vcpus: 3,
  words: { last: 0, done: 0, silent: 0 },
  args: { sends: 50_000, seconds: 0 },
  guest(vcpu) {
    const { last, done, silent } = vcpu.words;
    const { sends, seconds } = vcpu.domain.args;
    const senders = vcpu.domain.vcpus - 1;
    const tally = new Tally(vcpu);
    const mailOf = (port: number) => new Word32(vcpu.memory, MAIL + port * 4);

    if (vcpu.id === 0) {
      const events = new Events(vcpu);
      irqDisable(vcpu);
      const { maxPort } = vcpu.domain;
      const bindStart = vcpu.now();
      for (let port = 1; port <= maxPort; port++) {
        const bound = events.bindIpi(tally.handlerOf(mailOf(port)));
        vcpu.assert(bound === port, 'ports are given out in order');
      }
      const bindNs = vcpu.now() - bindStart;
      last.store(maxPort);
      // As soon as upcalls are enabled the events count.
      haltUntil(vcpu, () => done.load() === senders);
      while (silent.load() < senders) vcpu.relax();
      irqEnable(vcpu);
      const closeStart = vcpu.now();
      for (let port = 1; port <= maxPort; port++) events.unbind(port);
      return { ...tally.result(), ports: maxPort, bindNs, closeNs: vcpu.now() - closeStart };
    }

    while (last.load() === 0) vcpu.relax();
    const count = last.load();
    const mails = Array.from({ length: count + 1 }, (_, port) => mailOf(port));
    const end = vcpu.now() + seconds * 1e9;
    while (seconds === 0 ? tally.sends < sends : vcpu.now() < end) {
      for (let i = 0; i < BURST; i++) {
        const port = 1 + Math.floor(vcpu.random() * count);
        tally.send(port, mails[port]!);
      }
    }
    done.add(1);
    // Whatever port: it wakes vCPU 0 to look.
    tally.send(count, mails[count]!);
    silent.add(1);
    return tally.result();
  },
});
