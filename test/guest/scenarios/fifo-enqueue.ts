/**
 * Two vCPUs send to a third under the FIFO ABI, all at once. What they send to is told by the args:
 * queues: a port each, of different priorities;
 * queue: a port each, of one priority;
 * port: one port, twice, of which one sender changes the priority before it sends;
 * priority: one port, once, of which the other sender changes the priority only.
 */
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, haltUntil } from '../../../lib/guest';

export default defineScenario({
  name: 'fifo-enqueue',
  events: 'fifo',
  vcpus: 3,
  words: { ports: [0, 0], sent: [0, 0], served: [0, 0], ready: 0 },
  args: { to: 'queues' },
  invariants: ['no-dead-port', 'no-dead-upcall', 'no-sleeper-with-work', 'bit-conservation'],
  guest(vcpu) {
    const { ports, sent, served, ready } = vcpu.words;
    const { to } = vcpu.domain.args;
    const { evtchn } = vcpu.hypercall;
    if (vcpu.id === 0) {
      const events = new Events(vcpu);
      for (const index of [0, 1] as const) {
        // What the handler finds was sent before the event it runs for, or will be announced by another.
        ports[index].store(events.bindIpi(() => served[index].write(sent[index].load())));
      }
      if (to === 'queues') events.setPriority(ports[1].read(), 3);
      ready.store(1);
      haltUntil(vcpu, () => served[0].read() + served[1].read() === (to === 'priority' ? 1 : 2));
      return;
    }
    const index = to === 'port' || to === 'priority' ? 0 : vcpu.id - 1;
    while (ready.load() === 0) vcpu.relax();
    if (to === 'priority' && vcpu.id === 2) {
      evtchn.setPriority(ports[0].read(), 3);
      return;
    }
    sent[index as 0 | 1].add(1);
    if (to === 'port' && vcpu.id === 2) evtchn.setPriority(ports[0].read(), 3);
    evtchn.send(ports[index as 0 | 1].read());
  },
});
