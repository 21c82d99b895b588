/**
 * R25: a port is closed first and taken out of the kernel's table afterwards; its number has a new owner by then.
 *
 * Where: Linux fa765c4b4aed, whose message shows the two CPUs.
 *
 * 1. vCPU 0 closes its two ports. Their numbers are free.
 * 2. vCPU 1 binds a port and is given one of them; it enters itself in the table.
 * 3. vCPU 0 clears the table's entries.
 * Events of the new owner find no handler.
 *
 * Invariant: the table's entry of a port names its owner.
 * Seen as: invariant (ownership, when all is over), under sc and tso. It takes one preemption.
 *
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r25-close-then-forget.ts [--events fifo]
 *   upcall explore examples/races/r25-close-then-forget.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { bootPorts } from 'upcall/guest';

const OLD_PORTS = [1, 2] as const;
const OLD_OWNER = 1;
const NEW_OWNER = 2;

export default defineScenario({
  name: 'r25-close-then-forget',
  description: 'the table entry of a closed port is cleared after the number was given to a new owner',
  /** Owners by port. */
  words: { table: [0, OLD_OWNER, OLD_OWNER, 0] },
  args: { variant: 'buggy' },
  invariants: [{ name: 'ownership', table: 'table' }],
  setup({ domain }) {
    bootPorts(domain);
    for (const _ of OLD_PORTS) domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const fixed = vcpu.domain.args.variant === 'fixed';
      const { table } = vcpu.words;
      if (fixed) for (const port of OLD_PORTS) table[port].store(0);
      for (const port of OLD_PORTS) vcpu.hypercall.evtchn.close(port);
      if (!fixed) for (const port of OLD_PORTS) table[port].store(0);
    },
    (vcpu) => {
      const port = vcpu.hypercall.evtchn.bindIpi(1);
      vcpu.words.table[port as 1 | 2 | 3].store(NEW_OWNER);
    },
  ],
});
