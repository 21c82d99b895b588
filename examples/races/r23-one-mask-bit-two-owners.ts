/**
 * R23: a port is masked for two reasons at once, and the first to end opens it.
 *
 * Where: Linux 25da4618af24. A port is kept masked from its handler until the late EOI; the move to another vCPU masks
 * it for a moment too. Since then the reasons are kept apart.
 *
 * 1. vCPU 0 takes the upcall, sets the mask bit, clears the pending bit. It serves the event and owes the EOI.
 * 2. vCPU 1 moves the port: it sets the mask bit, which is set already, binds the port, clears the mask bit.
 * Further events are now delivered while the EOI of the first one is due: the port is entered again, and what the
 * late EOI was to protect from, a storm, is let in. (Filters of ports make no difference here and are left out.)
 *
 * Invariant: the mask bit is set as long as anybody has a reason for it.
 * Seen as: assertion (when vCPU 0 comes to send the EOI), under sc and tso. It takes one preemption.
 * To put the mask bit back as it was found is not enough (variant as-found): vCPU 0 may set it after vCPU 1 did. That
 * takes three preemptions.
 * The cure: a word of reasons, changed together with the mask bit under a lock; the last reason to go clears the bit.
 *
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r23-one-mask-bit-two-owners.ts [--events fifo]
 *   upcall explore examples/races/r23-one-mask-bit-two-owners.ts --args '{"variant":"as-found"}'
 *   upcall explore examples/races/r23-one-mask-bit-two-owners.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;
/** Sending on this end raises PORT. */
const FAR_END = 2;

// Reasons to mask the port.
const MOVE = 1;
const EOI = 2;

export default defineScenario({
  name: 'r23-one-mask-bit-two-owners',
  description: 'a port masked until its EOI is opened by the end of its move to another vCPU',
  words: { lock: 0, reasons: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    const { evtchn } = domain.hypercall;
    // Connecting makes an event up at the far end, where nobody waits for one.
    bootPorts(domain).mask(FAR_END).set();
    evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
    evtchn.bindInterdomain(DOMID_SELF, PORT);
    evtchn.send(FAR_END);
  },
  vcpus: 2,
  guest(vcpu) {
    const { variant } = vcpu.domain.args;
    const { info } = vcpu;
    const { lock, reasons } = vcpu.words;
    const { evtchn } = vcpu.hypercall;
    const ports = barePorts(vcpu);
    const mask = ports.mask(PORT);

    /** Masks the port; returns whether it was masked. Upcalls are disabled. */
    function hold(reason: number): boolean {
      if (variant !== 'fixed') return mask.set();
      while (lock.compareExchange(0, 1) !== 0) vcpu.relax();
      const held = reasons.or(reason);
      mask.set();
      lock.store(0);
      return held !== 0;
    }

    /** Undoes hold, which returned `wasHeld`. Upcalls are disabled. */
    function release(reason: number, wasHeld: boolean): void {
      if (variant !== 'fixed') {
        if (variant === 'buggy' || !wasHeld) evtchn.unmask(PORT);
        return;
      }
      while (lock.compareExchange(0, 1) !== 0) vcpu.relax();
      if (reasons.and(~reason) === reason) evtchn.unmask(PORT);
      lock.store(0);
    }

    if (vcpu.id === 1) {
      const wasHeld = hold(MOVE);
      evtchn.bindVcpu(PORT, 1);
      release(MOVE, wasHeld);
      return;
    }

    let owesEoi = false;
    vcpu.onUpcall(() => {
      info.evtchn_upcall_pending.write(0);
      ports.visit(ports.announced.exchange(0), () => {
        hold(EOI);
        owesEoi = ports.pending(PORT).clear();
      });
    });
    info.evtchn_upcall_mask.write(0);
    if (info.evtchn_upcall_pending.read() !== 0) vcpu.hypercall.xenVersion();

    // The driver is done with the event.
    info.evtchn_upcall_mask.write(1);
    if (owesEoi) {
      vcpu.assert(mask.isSet(), 'the port was opened while its EOI is due');
      release(EOI, false);
    }
  },
});
