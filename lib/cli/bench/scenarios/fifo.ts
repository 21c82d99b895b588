/**
 * What an event costs with few and with many ports bound, under either event-channel ABI: EVTCHNOP_send with delivery, and
 * upcall dispatch; and what a bind and an unbind cost. Returns ns of each. Throws if an event is lost.
 */
import { defineScenario } from 'upcall';
import { Events, irqDisable, irqEnable } from 'upcall/guest';

/** Events that are sent one after the other, then served together. */
const BATCH = 64;

export default defineScenario({
  name: 'bench-fifo',
  events: 'fifo',
  maxPort: 131_071,
  args: { ports: 64, batches: 3000 },
  guest(vcpu) {
    const { batches, ports: count } = vcpu.domain.args;
    const events = new Events(vcpu);
    const { evtchn } = vcpu.hypercall;
    let handled = 0;
    const handler = () => {
      handled++;
    };
    irqDisable(vcpu);
    const bindStart = vcpu.now();
    const ports = Array.from({ length: count }, () => events.bindIpi(handler));
    const bind = (vcpu.now() - bindStart) / count;
    // The ports of a batch are far apart, and each batch has others.
    const stride = Math.max(1, Math.floor(count / BATCH));
    const sendNs = new Float64Array(batches);
    const dispatchNs = new Float64Array(batches);

    const round = () => {
      for (let batch = 0; batch < batches; batch++) {
        const start = vcpu.now();
        for (let i = 0; i < BATCH; i++) evtchn.send(ports[(i * stride + batch) % count] as number);
        const sent = vcpu.now();
        irqEnable(vcpu);
        dispatchNs[batch] = (vcpu.now() - sent) / BATCH;
        sendNs[batch] = (sent - start) / BATCH;
        irqDisable(vcpu);
      }
    };
    round();
    round();
    const expected = 2 * batches * BATCH;
    if (handled !== expected) throw new Error(`${handled} of ${expected} events were handled`);
    const unbindStart = vcpu.now();
    for (const port of ports) events.unbind(port);
    const unbind = (vcpu.now() - unbindStart) / count;
    const middle = (values: Float64Array) => values.sort()[batches >> 1] as number;
    return { bind, unbind, send: middle(sendNs), dispatch: middle(dispatchNs) };
  },
});
