/** vCPU 0 blocks, vCPU 1 polls a port, vCPU 2 returns; nothing ever wakes the two. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'sleepers',
  guests: [
    (vcpu) => {
      vcpu.onUpcall(() => {});
      for (;;) vcpu.block();
    },
    (vcpu) => {
      vcpu.onUpcall(() => {});
      const port = vcpu.hypercall.evtchn.bindIpi(vcpu.id);
      for (;;) vcpu.hypercall.sched.poll([port]);
    },
    () => 'done',
  ],
});
