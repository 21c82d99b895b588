/** vCPU 0 brings up the first `args.up` of the others. Each that runs returns its number. */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'bring-up',
  vcpus: 4,
  start: 'boot',
  args: { up: 3 },
  guest(vcpu) {
    const calls = vcpu.hypercall.vcpu;
    if (vcpu.id !== 0) return vcpu.id;
    for (let other = 1; other <= vcpu.domain.args.up; other++) {
      vcpu.assert(!calls.isUp(other), `vCPU ${other} is not up yet`);
      calls.initialise(other);
      calls.up(other);
    }
    return 'boot';
  },
});
