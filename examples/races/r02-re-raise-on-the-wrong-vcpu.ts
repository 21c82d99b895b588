/**
 * R02: whoever unmasks a port raises it again on itself, not on the vCPU the port is bound to.
 *
 * Where: XenLinux set the selector of the processor it happened to run on (put right in xen 3e61615263, which added
 * the unmask hypercall for ports bound elsewhere); drivers of fully virtualised guests must always use the hypercall
 * (xen a0685dba64).
 *
 * The port is bound to vCPU 1 and masked.
 * 1. vCPU 2 sends: pending bit set, nothing announced.
 * 2. vCPU 0 unmasks, finds the port pending, and sets its own selector bit and upcall flag.
 * 3. vCPU 0 takes the upcall, keeps to the ports that are its own, and finds nothing.
 * vCPU 1 never hears of the event.
 *
 * Invariant: a set selector bit means that some port of that word is bound to that vCPU (or is just being moved).
 * Seen as: deadlock, under sc and tso. It takes no preemption.
 *
 * 2-level ABI only: under the FIFO ABI a guest cannot raise an event again by itself, only the hypervisor puts events on queues.
 *
 *   upcall explore examples/races/r02-re-raise-on-the-wrong-vcpu.ts
 *   upcall explore examples/races/r02-re-raise-on-the-wrong-vcpu.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const PORT = 1;
const BIT = 1 << PORT;

export default defineScenario({
  name: 'r02-re-raise-on-the-wrong-vcpu',
  description: 'the vCPU that unmasks a port announces it to itself, not to the vCPU the port is bound to',
  events: '2l',
  args: { variant: 'buggy' },
  setup({ domain }) {
    domain.sharedInfo.evtchn_mask.word(0).or(BIT);
    domain.hypercall.evtchn.bindIpi(1);
  },
  guests: [
    // Unmasks the port. None is bound here.
    (vcpu) => {
      const { info } = vcpu;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        info.evtchn_pending_sel.lo.exchange(0);
      });
      if (vcpu.domain.args.variant === 'fixed') {
        vcpu.hypercall.evtchn.unmask(PORT);
      } else {
        vcpu.sharedInfo.evtchn_mask.word(0).and(~BIT);
        if ((vcpu.sharedInfo.evtchn_pending.word(0).read() & BIT) !== 0) {
          if ((info.evtchn_pending_sel.lo.or(1) & 1) === 0) info.evtchn_upcall_pending.write(1);
        }
      }
      info.evtchn_upcall_mask.write(0);
      if (info.evtchn_upcall_pending.read() !== 0) vcpu.hypercall.xenVersion();
    },
    // The port is bound here.
    (vcpu) => {
      const { info } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      const mask = vcpu.sharedInfo.evtchn_mask.word(0);
      let handled = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        if ((info.evtchn_pending_sel.lo.exchange(0) & 1) === 0) return;
        if ((pending.read() & ~mask.read() & BIT) === 0) return;
        pending.and(~BIT);
        handled++;
      });
      while (handled === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
