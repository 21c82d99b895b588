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
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r17-poll-on-dead-port.ts [--events fifo]
 *   upcall explore examples/races/r17-poll-on-dead-port.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;

export default defineScenario({
  name: 'r17-poll-on-dead-port',
  description: 'a poll on a closed port is put to sleep where it should be refused',
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain).mask(PORT).set();
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const pending = barePorts(vcpu).pending(PORT);

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

      while (!pending.clear()) {
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
