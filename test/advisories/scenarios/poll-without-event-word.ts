/**
 * XSA-221: SCHEDOP_poll on a port of the FIFO ABI that has no page of the event array yet. It sleeps; an event that comes before
 * the page, with it or after it ends the sleep.
 */
import { defineScenario } from 'upcall';
import { ARRAY_FRAME, CONTROL_BYTES, CONTROL_FRAME } from './attempt';

const PORT = 1;

export default defineScenario({
  name: 'poll-without-event-word',
  setup({ domain }) {
    const { evtchn } = domain.hypercall;
    for (let vcpu = 0; vcpu < 3; vcpu++) evtchn.initControl(CONTROL_FRAME, vcpu * CONTROL_BYTES, vcpu);
    evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => vcpu.hypercall.sched.poll([PORT]),
    (vcpu) => vcpu.hypercall.evtchn.expandArray(ARRAY_FRAME),
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
