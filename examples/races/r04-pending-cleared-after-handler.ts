/**
 * R04: the upcall runs a port's handler first and clears its pending bit afterwards.
 *
 * Where: Mini-OS until xen b585b4dfa7.
 *
 * The vCPUs share a mailbox with room for one item. It is full at first, and its event has been sent.
 * 1. vCPU 0 takes the upcall, and the handler takes the item.
 * 2. vCPU 1, which was waiting for room, puts in the next item and sends: the pending bit is still set, so the hypervisor
 *    stops there.
 * 3. vCPU 0 clears the pending bit.
 * There is an item in the mailbox and nothing pending. (Under the FIFO ABI the hypervisor does not stop there: it puts the
 * event on its queue once more. When it is taken off, its pending bit is clear, and so it is skipped.)
 *
 * Invariant: after the last send of a port at least one run of its handler starts.
 * Seen as: deadlock, under sc and tso. It takes one preemption.
 *
 *   upcall explore examples/races/r04-pending-cleared-after-handler.ts [--events fifo]
 *   upcall explore examples/races/r04-pending-cleared-after-handler.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;

export default defineScenario({
  name: 'r04-pending-cleared-after-handler',
  description: 'the pending bit is cleared after the handler has run: an event during the handler is wiped out',
  words: { mailbox: 1 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(PORT);
  },
  guests: [
    (vcpu) => {
      const fixed = vcpu.domain.args.variant === 'fixed';
      const { info, words } = vcpu;
      const ports = barePorts(vcpu);
      const pending = ports.pending(PORT);
      let done = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          if (fixed) pending.clear();
          // The handler.
          if (words.mailbox.exchange(0) !== 0) done++;
          if (!fixed) pending.clear();
        });
      });
      while (done < 2) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => {
      const { mailbox } = vcpu.words;
      while (mailbox.load() !== 0) vcpu.relax();
      mailbox.store(2);
      vcpu.hypercall.evtchn.send(PORT);
    },
  ],
});
