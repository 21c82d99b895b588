/**
 * R50: a client of xenstore looks for a node, does not find it, and sets its watch afterwards: the node that is written in
 * between is never heard of.
 *
 * Where: drivers that read the other end's state first and watch it later; the event that a watch fires at once when it is set
 * exists because of them (docs/misc/xenstore.txt), and helps those alone who look again for it.
 *
 * Client and store are written out here in named words: vCPU 0 is the client, vCPU 1 somebody's write as the store executes
 * it (set the node, then tell whoever watches it).
 * 1. The client looks: no node.
 * 2. The node is written. Nobody watches it: no event.
 * 3. The client sets its watch. The event that comes at once it takes for the answer to its request, as many do.
 * It sleeps until the node changes, and it never does.
 *
 * Invariant: a client that sleeps has seen the node as it is, or has an event on the way.
 * Seen as: deadlock, under sc and tso. It takes one preemption.
 * The cure: watch first, then look, and look again for every event. With the real store: examples/xenstore-handshake.ts.
 *
 *   upcall explore examples/races/r50-watch-missed-after-look.ts
 *   upcall explore examples/races/r50-watch-missed-after-look.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;

export default defineScenario({
  name: 'r50-watch-missed-after-look',
  description: 'a node is written between the look for it and the watch on it',
  words: { node: 0, watched: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const { info } = vcpu;
      const { node, watched } = vcpu.words;
      const ports = barePorts(vcpu);
      let events = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          if (ports.pending(PORT).clear()) events++;
        });
      });
      const awaitEvent = () => {
        info.evtchn_upcall_mask.write(1);
        while (events === 0) {
          vcpu.block();
          info.evtchn_upcall_mask.write(1);
        }
        events = 0;
      };

      if (vcpu.domain.args.variant === 'fixed') {
        watched.store(1);
        while (node.load() === 0) awaitEvent();
        return;
      }
      if (node.load() !== 0) return;
      watched.store(1);
      awaitEvent();
    },
    (vcpu) => {
      const { node, watched } = vcpu.words;
      node.store(1);
      if (watched.load() !== 0) vcpu.hypercall.evtchn.send(PORT);
    },
  ],
});
