/**
 * The evtchn model of bench/models.ts in its real form: vCPU 1 sends with EVTCHNOP_send, through the hypervisor's own code, and
 * vCPU 0 polls: in each round it takes what is announced, handles it, masks the port and unmasks it again. The fixed one
 * then looks at the pending bit and, if the event came meanwhile, announces it as the hypervisor would have done.
 */
import { defineScenario } from 'upcall';

const PORT = 1;
const BIT = 1 << PORT;

export default defineScenario({
  name: 'bench-evtchn',
  vcpus: 2,
  args: { fixed: true, rounds: 3, sends: 1 },
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const { fixed, rounds } = vcpu.domain.args;
      const { info, sharedInfo } = vcpu;
      const pending = sharedInfo.evtchn_pending.word(0);
      const mask = sharedInfo.evtchn_mask.word(0);
      let handled = 0;
      for (let round = 0; round < rounds; round++) {
        info.evtchn_upcall_pending.exchange(0);
        if (info.evtchn_pending_sel.lo.exchange(0) !== 0 && (pending.load() & BIT) !== 0) {
          pending.and(~BIT);
          handled++;
        }
        mask.or(BIT);
        mask.and(~BIT);
        if (!fixed || (pending.load() & BIT) === 0) continue;
        if ((info.evtchn_pending_sel.lo.or(1) & 1) === 0) info.evtchn_upcall_pending.store(1);
      }
      return handled;
    },
    (vcpu) => {
      for (let send = 0; send < vcpu.domain.args.sends; send++) vcpu.hypercall.evtchn.send(PORT);
    },
  ],
  check({ domain }) {
    const { sharedInfo } = domain;
    const pending = sharedInfo.evtchn_pending.word(0).load() & ~sharedInfo.evtchn_mask.word(0).load();
    if (pending !== 0 && sharedInfo.vcpu_info.at(0).evtchn_pending_sel.lo.load() === 0) {
      throw new Error('pending, unmasked and announced to nobody');
    }
  },
});
