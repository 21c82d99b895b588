/** Sleeps in short turns until its vcpu_time_info is written anew. How far its clock is then from the host's, in ns. */
import { defineScenario } from 'upcall';
import { systemTimeNs } from 'upcall/guest';

const TURN_NS = 20_000_000;
const MOST_TURNS = 500;

export default defineScenario({
  name: 'long-lived',
  guest(vcpu) {
    const { version } = vcpu.info.time;
    const first = version.read();
    for (let turn = 0; turn < MOST_TURNS && version.read() === first; turn++) {
      vcpu.hypercall.sched.poll([], vcpu.now() + TURN_NS);
    }
    const before = vcpu.now();
    const guest = systemTimeNs(vcpu);
    return { published: version.read() - first, inOrder: before <= guest && guest <= vcpu.now() };
  },
});
