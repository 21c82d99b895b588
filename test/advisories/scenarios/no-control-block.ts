/**
 * XSA-107: events under the FIFO ABI for a vCPU that has no control block yet. They are dropped; from the moment the vCPU has
 * one, none is.
 */
import { defineScenario } from 'upcall';
import { ARRAY_FRAME, CONTROL_BYTES, CONTROL_FRAME } from './attempt';

const PORT = 1;

export default defineScenario({
  name: 'no-control-block',
  words: { ready: 0 },
  setup({ domain }) {
    const { evtchn } = domain.hypercall;
    evtchn.initControl(CONTROL_FRAME, 0, 0);
    evtchn.expandArray(ARRAY_FRAME);
    evtchn.bindIpi(1);
  },
  guests: [
    (vcpu) => {
      const { ready } = vcpu.words;
      vcpu.hypercall.evtchn.send(PORT);
      while (ready.load() === 0) vcpu.relax();
      vcpu.hypercall.evtchn.send(PORT);
    },
    (vcpu) => {
      vcpu.hypercall.evtchn.initControl(CONTROL_FRAME, CONTROL_BYTES, 1);
      vcpu.words.ready.store(1);
      vcpu.hypercall.sched.poll([PORT]);
    },
  ],
  check({ domain }) {
    // Where a control block at address 0 would be.
    for (let address = 0; address < CONTROL_BYTES; address += 4) {
      if (domain.memory.read32(address) !== 0) throw new Error(`something was written to address ${address}`);
    }
  },
});
