/**
 * XSA-295, and dae2a1c5f9: a guest that keeps rewriting a word which another domain's hypercall changes by compare-and-swap. The
 * sender's hypercalls take a bounded number of steps.
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { ARRAY_FRAME, CONTROL_FRAME, FRAME_BYTES } from './attempt';

const FIRST = 1;
const SECOND = 2;
const MASKED = 0x4000_0000;

export default defineScenario({
  name: 'word-never-still',
  args: { writes: 10 },
  invariants: [{ name: 'bounded-steps', hypercall: 38 }],
  domains: {
    rude: {
      guest(vcpu) {
        for (let i = 0; i < vcpu.domain.args.writes; i++) {
          vcpu.memory.xor32(ARRAY_FRAME * FRAME_BYTES + FIRST * 4, MASKED);
        }
      },
    },
    sender: {
      guest(vcpu) {
        vcpu.hypercall.evtchn.send(FIRST);
        vcpu.hypercall.evtchn.send(SECOND);
        return vcpu.id;
      },
    },
  },
  setup({ domains }) {
    const { rude, sender } = domains;
    rude!.hypercall.evtchn.initControl(CONTROL_FRAME, 0, 0);
    rude!.hypercall.evtchn.expandArray(ARRAY_FRAME);
    for (let i = 0; i < 2; i++) {
      const port = rude!.hypercall.evtchn.allocUnbound(DOMID_SELF, sender!.id);
      sender!.hypercall.evtchn.bindInterdomain(rude!.id, port);
    }
  },
});
