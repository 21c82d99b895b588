/**
 * R21: a send that has read which vCPU to notify is overtaken by the move of the port to another one.
 *
 * Where: nowhere so far; a suspicion from reading Xen at c447b7308b, not reported and not seen on a real machine.
 * EVTCHNOP_send reads the far channel's notify vCPU under the near channel's lock only, EVTCHNOP_bind_vcpu writes it
 * under the domain's event lock. The message of xen 6f6f07b64c grants that the field can change in between and makes
 * sure of the FIFO ABI's bookkeeping, not of the event. QEMU's emulation holds one lock for both.
 *
 * The hypervisor is the real one here, which takes those locks; the port is one end of a channel within the domain. (A
 * sender in another domain would go the same way, under the lock of its own end.)
 * 1. vCPU 0 sends. The hypervisor reads that the port notifies vCPU 0.
 * 2. vCPU 1 moves the port as a kernel should: mask, bind to itself, note that it serves the port from now on, unmask
 *    by hypercall. The unmask looks at the pending bit: not set yet, so there is nothing to announce.
 * 3. The send goes on: pending bit, not masked, selector bit and upcall flag of vCPU 0.
 * 4. vCPU 0 takes the upcall and skips the port, which it does not serve any more.
 * Pending, unmasked, nothing announced to its vCPU: a dead port, though the guest kept to the rules.
 *
 * Invariant: at rest, a port that is pending and not masked has the upcall flag of the vCPU set to which it is bound
 * now.
 * Seen as: invariant (no-dead-port, when all is over), under sc and tso. It takes one preemption. So with these locks
 * the event is lost; what remains open is whether some part of Xen not modelled here prevents it.
 *
 * The right place for a cure is the hypervisor: choose the vCPU after setting the pending bit, and look again. A guest
 * can help itself (variant fixed): a vCPU that meets a port which is pending, unmasked and not its own does not skip it
 * but sets the mask bit and unmasks it by hypercall, which announces it where it is bound now. The price is a
 * hypercall, and a spurious announcement, each time it merely meets a neighbour's event. The mover binds the port
 * before it changes who serves it, or the announcement could come back. If vCPUs have no ports of their own (variant
 * unfiltered), whoever takes the upcall serves the port, and the move loses nothing either.
 *
 * Under the FIFO ABI the send puts the event on the queue of vCPU 0, which takes it off and skips it: the same dead port, and
 * the same cures.
 *
 *   upcall explore examples/races/r21-send-races-with-rebind.ts [--events fifo]
 *   upcall explore examples/races/r21-send-races-with-rebind.ts --args '{"variant":"fixed"}'
 *   upcall explore examples/races/r21-send-races-with-rebind.ts --args '{"variant":"unfiltered"}'
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;
/** Sending on this end raises PORT. */
const FAR_END = 2;

export default defineScenario({
  name: 'r21-send-races-with-rebind',
  description: 'a send announces its event to the vCPU that the port was moved away from meanwhile',
  /** The vCPU that serves PORT: the private filters of both vCPUs in one word. */
  words: { server: 0 },
  args: { variant: 'buggy' },
  invariants: ['no-dead-port'],
  setup({ domain }) {
    const { evtchn } = domain.hypercall;
    // Connecting makes an event up at the far end, where nobody waits for one.
    bootPorts(domain).mask(FAR_END).set();
    evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
    evtchn.bindInterdomain(DOMID_SELF, PORT);
  },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { info } = vcpu;
      const { server } = vcpu.words;
      const { evtchn } = vcpu.hypercall;
      const ports = barePorts(vcpu);
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          if (variant === 'unfiltered' || server.load() === vcpu.id) {
            ports.pending(PORT).clear();
          } else if (variant === 'fixed') {
            ports.mask(PORT).set();
            evtchn.unmask(PORT);
          }
        });
      });

      info.evtchn_upcall_mask.write(0);
      evtchn.send(FAR_END);
    },
    // Never enables upcalls: what was announced to it is still there at the end.
    (vcpu) => {
      const { evtchn } = vcpu.hypercall;
      barePorts(vcpu).mask(PORT).set();
      evtchn.bindVcpu(PORT, 1);
      vcpu.words.server.store(1);
      evtchn.unmask(PORT);
    },
  ],
});
