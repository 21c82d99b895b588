/**
 * R26: a port number is given out again with the pending bit of its former life.
 *
 * Where: xen 120785c177 made close clear the pending bit. xen 78e24c269b is the like for the FIFO ABI: a port closed
 * while its event word was still linked.
 *
 * 1. An event arrives on vCPU 0's port: pending bit, selector bit, upcall flag.
 * 2. vCPU 0 gives the port up: forgets its handler, closes the port. The pending bit stays.
 * 3. vCPU 0 takes the upcall, finds a port that is nobody's, and skips it.
 * 4. vCPU 0 binds a port for something else and is given the same number.
 * 5. vCPU 1 sends on it. The pending bit is set already, so nothing is announced.
 * The first event of the new life is lost, and so are all that follow. (A guest that sets the mask bit before it binds
 * and unmasks by hypercall afterwards gets a first event that nobody has sent instead.)
 *
 * The hypervisor here clears the bit. For the buggy variant the guest sets it again after the close, which is all that
 * the old one did otherwise.
 *
 * Invariant: a port fresh from a bind is not pending.
 * Seen as: deadlock, under sc and tso. It takes no preemption.
 *
 * 2-level ABI only: under the FIFO ABI a send does not stop at a pending bit that is set, and the old state that would do harm is
 * LINKED, for which the hypervisor here looks before it gives a port out.
 *
 *   upcall explore examples/races/r26-port-reused-with-old-state.ts
 *   upcall explore examples/races/r26-port-reused-with-old-state.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

const OLD_PORT = 1;
const OLD_BIT = 1 << OLD_PORT;

export default defineScenario({
  name: 'r26-port-reused-with-old-state',
  description: 'a closed port keeps its pending bit and is given out again: the first event finds the bit set',
  events: '2l',
  words: { port: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(OLD_PORT);
  },
  guests: [
    (vcpu) => {
      const { info } = vcpu;
      const { evtchn } = vcpu.hypercall;
      const pending = vcpu.sharedInfo.evtchn_pending.word(0);
      let ownBits = OLD_BIT;
      let handled = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        if ((info.evtchn_pending_sel.lo.exchange(0) & 1) === 0) return;
        const active = pending.read() & ownBits;
        if (active === 0) return;
        pending.and(~active);
        handled++;
      });

      ownBits = 0;
      const leftover = pending.read() & OLD_BIT;
      evtchn.close(OLD_PORT);
      if (vcpu.domain.args.variant !== 'fixed') pending.or(leftover);

      info.evtchn_upcall_mask.write(0);
      if (info.evtchn_upcall_pending.read() !== 0) vcpu.hypercall.xenVersion();
      info.evtchn_upcall_mask.write(1);

      const port = evtchn.bindIpi(0);
      ownBits = 1 << port;
      vcpu.words.port.store(port);
      while (handled === 0) {
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
