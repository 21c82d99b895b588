/**
 * R10: a port is bound, and the first event comes before the guest has put up the handler.
 *
 * Where: Mini-OS cleared the pending bit before it installed a handler, to keep the handler from an early call (xen
 * b9d1950675 took that out); before 89f1d989d2 it did not even start with all ports masked.
 *
 * All ports are masked at boot.
 * 1. vCPU 0 binds a port. From here on others can send on it; the word `port` stands for how they know its number.
 * 2. vCPU 1 sends: pending bit set.
 * 3. vCPU 0 clears the pending bit.
 * 4. vCPU 0 installs the handler and unmasks: nothing is pending. The first event is lost.
 *
 * Invariant: the first send after a successful bind is followed by a run of the handler.
 * Seen as: deadlock, under sc and tso. It takes one preemption.
 * Variant unmasked leaves the ports unmasked at boot instead: the upcall finds a port without a handler, seen as an
 * assertion.
 *
 *   upcall explore examples/races/r10-binding-before-handler.ts
 *   upcall explore examples/races/r10-binding-before-handler.ts --args '{"variant":"unmasked"}'
 *   upcall explore examples/races/r10-binding-before-handler.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'r10-binding-before-handler',
  description: 'the pending bit is cleared before the handler is put up: the first event is wiped out',
  words: { port: 0 },
  args: { variant: 'buggy' },
  setup({ domain, args }) {
    if (args.variant !== 'unmasked') domain.sharedInfo.evtchn_mask.word(0).store(-1);
  },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { info } = vcpu;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      const mask = vcpu.sharedInfo.evtchn_mask.word(0);
      let handler: (() => void) | undefined;
      let runs = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        if ((info.evtchn_pending_sel.lo.exchange(0) & 1) === 0) return;
        const active = pending.read() & ~mask.read();
        if (active === 0) return;
        pending.and(~active);
        vcpu.assert(handler !== undefined, 'an event of a port that has no handler');
        handler?.();
      });

      // A running kernel binds a port: upcalls are enabled.
      info.evtchn_upcall_mask.write(0);
      const port = vcpu.hypercall.evtchn.bindIpi(0);
      vcpu.words.port.store(port);
      if (variant === 'buggy') pending.and(~(1 << port));
      handler = () => {
        runs++;
      };
      if (variant !== 'unmasked') vcpu.hypercall.evtchn.unmask(port);

      info.evtchn_upcall_mask.write(1);
      while (runs === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => {
      const { port } = vcpu.words;
      while (port.load() === 0) vcpu.relax();
      vcpu.hypercall.evtchn.send(port.load());
    },
  ],
});
