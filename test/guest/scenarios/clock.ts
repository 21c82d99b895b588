/** A vCPU reads the wallclock while it is set. The version protocol is followed by hand on the writing side. */
import { defineScenario } from '../../../lib/engine/scenario';
import { readWallclock } from '../../../lib/guest';

export default defineScenario({
  name: 'clock',
  vcpus: 2,
  setup({ domain }) {
    domain.sharedInfo.wc_sec.write(0);
    domain.sharedInfo.wc_nsec.write(0);
  },
  guest(vcpu) {
    const { wc_version, wc_sec, wc_nsec } = vcpu.sharedInfo;
    if (vcpu.id === 1) {
      wc_version.write(wc_version.read() + 1);
      wc_sec.write(7);
      wc_nsec.write(7);
      wc_version.write(wc_version.read() + 1);
      return;
    }
    const wallclock = { seconds: 0, ns: 0 };
    readWallclock(vcpu, wallclock);
    vcpu.assert(wallclock.seconds === wallclock.ns, `torn: ${wallclock.seconds} s, ${wallclock.ns} ns`);
    return wallclock;
  },
});
