/**
 * Events from senders to receivers as fast as they go: vCPUs 0..senders-1 send, the others receive; every sender has a
 * port of its own at every receiver. Receivers sleep when there is nothing to do.
 *
 * Every send is accounted for: it either changed a pending bit from 0 to 1, and then the handler runs for it, or it was
 * coalesced with such a one. The figure is the number of sends per second.
 */
import { defineScenario } from 'upcall';
import { Events, haltUntil } from 'upcall/guest';

export default defineScenario({
  name: 'bench-throughput',
  vcpus: 2,
  words: {
    ports: Array.from({ length: 64 }, () => 0),
    endPorts: Array.from({ length: 16 }, () => 0),
    receiversReady: 0,
    sendersDone: 0,
  },
  args: { senders: 1, sends: 200_000 },
  guest(vcpu) {
    const { senders, sends } = vcpu.domain.args;
    const { ports, endPorts, receiversReady, sendersDone } = vcpu.words;
    const receivers = vcpu.domain.vcpus - senders;
    if (vcpu.id >= senders) {
      const receiver = vcpu.id - senders;
      const events = new Events(vcpu);
      let handled = 0;
      let ended = false;
      for (let sender = 0; sender < senders; sender++) {
        const port = events.bindIpi(() => {
          handled++;
        });
        ports[receiver * senders + sender]?.store(port);
      }
      // The end is announced by one more event, on a port that is not counted.
      const end = events.bindIpi(() => {
        ended = true;
      });
      endPorts[receiver]?.store(end);
      receiversReady.add(1);
      haltUntil(vcpu, () => ended);
      return { handled };
    }
    while (receiversReady.load() < receivers) vcpu.relax();
    const targets = Array.from(
      { length: receivers },
      (_, receiver) => ports[receiver * senders + vcpu.id]?.load() ?? 0,
    );
    const start = vcpu.now();
    for (let i = 0; i < sends; i++) vcpu.hypercall.evtchn.send(targets[i % receivers] as number);
    const ns = vcpu.now() - start;
    if (sendersDone.add(1) === senders - 1) {
      for (let receiver = 0; receiver < receivers; receiver++) {
        vcpu.hypercall.evtchn.send(endPorts[receiver]?.load() ?? 0);
      }
    }
    return { sent: sends, ns };
  },
});
