/** A domain grants a frame and waits until it is not in use any more; the other one maps it, and ends as `how` says. */
import { defineScenario } from 'upcall';
import { ForeignFrames, Frames, GrantError, GrantTable, type Vcpu } from 'upcall/guest';

const REF = 8;

function map(vcpu: Vcpu, dom: number): number {
  for (const frames = new ForeignFrames(vcpu); ; vcpu.relax()) {
    try {
      return frames.mapGrant(dom, REF).address;
    } catch (error) {
      if (!(error instanceof GrantError)) throw error;
    }
  }
}

export default defineScenario({
  name: 'ended-grantee',
  args: { how: 'shuts down' },
  domains: {
    granter: {
      guest(vcpu) {
        const table = new GrantTable(vcpu);
        const address = new Frames(vcpu).take();
        const ref = table.grantAccess(vcpu.domain.domains.grantee ?? 0, address / 4096);
        while (vcpu.memory.load32(address) === 0) vcpu.relax();
        while (!table.endAccess(ref)) vcpu.hypercall.sched.yield();
        return vcpu.memory.read32(address);
      },
    },
    grantee: {
      guest(vcpu) {
        const address = map(vcpu, vcpu.domain.domains.granter ?? 0);
        vcpu.memory.store32(address, 7);
        switch (vcpu.domain.args.how) {
          case 'shuts down':
            vcpu.hypercall.sched.shutdown(0);
            break;
          case 'throws':
            throw new Error('as it was told');
          default:
            for (;;);
        }
      },
    },
  },
});
