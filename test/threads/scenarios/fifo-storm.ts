/**
 * All the ports a domain can have, and vCPUs that send to them at random. vCPU 0 serves them; each of the others sends
 * `args.sends` events, or goes on for `args.seconds`.
 */
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, haltUntil, irqDisable, irqEnable } from '../../../lib/guest';

/** Sends between two looks at the clock. */
const BETWEEN_LOOKS = 1000;

export default defineScenario({
  name: 'fifo-storm',
  events: 'fifo',
  maxPort: 131_071,
  vcpus: 3,
  words: { first: 0, last: 0, done: 0 },
  args: { sends: 50_000, seconds: 0 },
  guest(vcpu) {
    const { first, last, done } = vcpu.words;
    const { sends, seconds } = vcpu.domain.args;
    const senders = vcpu.domain.vcpus - 1;
    if (vcpu.id === 0) {
      const events = new Events(vcpu);
      irqDisable(vcpu);
      let handled = 0;
      const handler = () => {
        handled++;
      };
      // The last one says that a sender is done; all ports are in use then.
      const ports = Array.from({ length: vcpu.domain.maxPort - 1 }, () => events.bindIpi(handler));
      first.store(ports[0] as number);
      last.store(events.bindIpi(() => {}));
      // As soon as upcalls are enabled the events count.
      haltUntil(vcpu, () => done.load() === senders);
      irqEnable(vcpu);
      const left = ports.filter((port) => events.isPending(port)).length;
      return { ports: ports.length, handled, left };
    }
    while (last.load() === 0) vcpu.relax();
    const low = first.load();
    const count = last.load() - low;
    const end = vcpu.now() + seconds * 1e9;
    let sent = 0;
    while (seconds === 0 ? sent < sends : vcpu.now() < end) {
      for (let i = 0; i < BETWEEN_LOOKS; i++) vcpu.hypercall.evtchn.send(low + Math.floor(vcpu.random() * count));
      sent += BETWEEN_LOOKS;
    }
    done.add(1);
    vcpu.hypercall.evtchn.send(last.load());
    return { sent };
  },
});
