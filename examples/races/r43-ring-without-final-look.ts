/**
 * R43: a consumer of a ring goes to sleep without looking once more after it has asked for an event.
 *
 * Where: xen da533ceb07 (2005) introduced the final check; cloud-hypervisor PR 2179 had real hangs without it, in virtio's form.
 *
 * 1. The consumer finds the ring empty.
 * 2. The producer adds a request and looks at `event`: it is the old one, nobody wants to be told.
 * 3. The consumer writes `event` and sleeps.
 * The request waits for ever.
 *
 * Invariant: a consumer that sleeps has an empty ring, or an event is on its way.
 * Seen as: deadlock, under sc and tso. It takes two preemptions.
 * Variants no-barrier-consumer and no-barrier-producer look once more, but without a barrier between the store and the load on that
 * side: each may overtake its own store, under tso alone.
 * The cure stores, fences and looks on both sides.
 *
 *   upcall explore examples/races/r43-ring-without-final-look.ts
 *   upcall explore examples/races/r43-ring-without-final-look.ts --memory-model tso --args '{"variant":"no-barrier-producer"}'
 *   upcall explore examples/races/r43-ring-without-final-look.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const REQUESTS = 2;
const START = -1;

export default defineScenario({
  name: 'r43-ring-without-final-look',
  description: 'a ring consumer asks for an event and sleeps: a request that came just before is never noticed',
  words: { prod: START, event: START + 1, bell: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { prod, event, bell } = vcpu.words;
      for (let i = 0; i < REQUESTS; i++) {
        const next = START + i + 1;
        prod.write(next);
        if (vcpu.domain.args.variant !== 'no-barrier-producer') vcpu.memory.fence();
        if ((next - event.read()) >>> 0 < 1) {
          bell.add(1);
          vcpu.memory.notify32(bell.address);
        }
      }
    },
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { prod, event, bell } = vcpu.words;
      let cons = START;
      while (cons !== START + REQUESTS) {
        const heard = bell.load();
        if (prod.read() !== cons) {
          cons++;
          continue;
        }
        event.write(cons + 1);
        if (variant !== 'buggy') {
          if (variant !== 'no-barrier-consumer') vcpu.memory.fence();
          if (prod.read() !== cons) continue;
        }
        vcpu.memory.wait32(bell.address, heard);
      }
    },
  ],
});
