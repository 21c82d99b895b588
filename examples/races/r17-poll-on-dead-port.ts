/**
 * R17: a vCPU polls a port that nobody can raise any more.
 *
 * Where: Xen accepted free and otherwise unusable ports in SCHEDOP_poll until d4bfa0c78f.
 *
 * 1. vCPU 1 sends its last event on the port and closes it. Closing clears the pending bit.
 * 2. vCPU 0, late, polls the port without a time limit.
 * Nothing can end the poll. It looks like a lost event.
 *
 * The hypervisor here refuses such a poll. For the buggy variant the guest takes the refusal for what the older one did:
 * it sleeps. vCPU 0 that polls in time is woken by the last event in both.
 *
 * Invariant: a sleeping poller has a usable port, a time limit, or upcalls enabled.
 * Seen as: deadlock, under sc and tso. It takes no preemption.
 *
 *   upcall explore examples/races/r17-poll-on-dead-port.ts
 *   upcall explore examples/races/r17-poll-on-dead-port.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const PORT = 1;
const BIT = 1 << PORT;

export default defineScenario({
  name: 'r17-poll-on-dead-port',
  description: 'a poll on a closed port is put to sleep where it should be refused',
  args: { variant: 'buggy' },
  setup({ domain }) {
    domain.sharedInfo.evtchn_mask.word(0).or(BIT);
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);

      /** Whether the hypervisor accepts to poll the port; returns once it has done so. */
      function poll(): boolean {
        try {
          vcpu.hypercall.sched.poll([PORT]);
        } catch (error) {
          if ((error as { code?: unknown }).code !== 'EINVAL') throw error;
          if (vcpu.domain.args.variant === 'fixed') return false;
          vcpu.block();
        }
        return true;
      }

      while ((pending.and(~BIT) & BIT) === 0) {
        if (!poll()) return 'the port is closed';
      }
      return 'the last event';
    },
    (vcpu) => {
      vcpu.hypercall.evtchn.send(PORT);
      vcpu.hypercall.evtchn.close(PORT);
    },
  ],
});
