/**
 * R28: the number of valid ports is raised before the record of the new port can be found.
 *
 * Where: xen 112992b05b (XSA-340), c5e63651fd (XSA-358, CVE-2020-29570), dc8b01affd (XSA-359): a count, or a pointer,
 * could become visible before what it stands for.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words: vCPU 0 plays a bind that grows the
 * table, vCPU 1 a send on any port it likes. Plain accesses throughout: what matters is their order.
 * 1. The bind stores the new count.
 * 2. The send finds its port below the count and follows the pointer to its records: null.
 * 3. The bind stores the pointer.
 *
 * Invariant: a port below the count has a record.
 * Seen as: assertion, under sc and tso. It takes one preemption. In Xen the program had the right order and lacked the
 * barriers: that goes wrong where a compiler or a machine such as Arm swaps the stores. On x86 the right order is
 * enough (variant fixed, also under tso).
 *
 *   upcall explore examples/races/r28-count-before-object.ts
 *   upcall explore examples/races/r28-count-before-object.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const PORTS_PER_BUCKET = 64;
/** The first port of the second bucket. */
const NEW_PORT = 64;

export default defineScenario({
  name: 'r28-count-before-object',
  description: 'the count of valid ports is stored before the pointer to the records of the new ones',
  words: { validPorts: PORTS_PER_BUCKET, secondBucket: 0, pendingOfNewPort: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { secondBucket, validPorts } = vcpu.words;
      const fixed = vcpu.domain.args.variant === 'fixed';
      if (fixed) secondBucket.write(1);
      validPorts.write(2 * PORTS_PER_BUCKET);
      if (!fixed) secondBucket.write(1);
    },
    (vcpu) => {
      const { pendingOfNewPort, secondBucket, validPorts } = vcpu.words;
      if (NEW_PORT >= validPorts.read()) return;
      vcpu.assert(secondBucket.read() !== 0, 'a valid port has no record');
      pendingOfNewPort.write(1);
    },
  ],
});
