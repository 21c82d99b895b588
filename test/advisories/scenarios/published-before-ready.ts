/**
 * XSA-340, XSA-358, XSA-359: what others find by a count or a pointer has to be complete by then. vCPU 0 makes a port, the first
 * behind the 64 there are records for, and under the FIFO ABI the control block and the page of its event word too; vCPU 1 sends
 * to the port from the beginning, until the hypervisor takes it. The event it was taken with is delivered.
 */
import { defineScenario } from 'upcall';
import { ARRAY_FRAME, attempt, CONTROL_BYTES, CONTROL_FRAME } from './attempt';

const PORT = 64;

export default defineScenario({
  name: 'published-before-ready',
  args: { fifo: false },
  invariants: ['no-dead-port'],
  setup({ domain }) {
    while (domain.hypercall.evtchn.bindIpi(0) < PORT - 1);
  },
  guests: [
    (vcpu) => {
      const { evtchn, sched } = vcpu.hypercall;
      if (vcpu.domain.args.fifo) {
        for (const id of [0, 1]) evtchn.initControl(CONTROL_FRAME, id * CONTROL_BYTES, id);
        vcpu.assert(evtchn.bindIpi(1) === PORT, 'the next port is the next');
        evtchn.expandArray(ARRAY_FRAME);
      } else {
        vcpu.assert(evtchn.bindIpi(1) === PORT, 'the next port is the next');
      }
      sched.poll([PORT]);
    },
    (vcpu) => {
      while (attempt(() => vcpu.hypercall.evtchn.send(PORT)) !== 'ok') vcpu.relax();
    },
  ],
});
