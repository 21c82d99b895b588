/**
 * R20: a port is moved to another vCPU while an event of it is noted at the old one.
 *
 * Where: Linux dffe2e1e1a1d (blkfront stuck after its interrupt was moved); xen 0f71d8d704 put off the change until the
 * next interrupt.
 *
 * The port is one end of a channel whose other end is in the same domain, so that it can both be sent to and moved.
 * 1. vCPU 1 sends: pending bit, selector bit and upcall flag of vCPU 0.
 * 2. vCPU 1 moves the port to itself. Xen redirects events to come and does nothing about this one. Each vCPU
 *    filters the ports it serves; the filters are changed as well.
 * 3. vCPU 0 takes the upcall and its selector, and skips the port: no longer its own.
 * 4. vCPU 1 was never told.
 * Pending, unmasked, nothing announced: a dead port.
 *
 * Invariant: at rest, a port that is pending and not masked has the upcall flag of the vCPU set to which it is bound now.
 * Seen as: assertion (no handler has run when all is over), under sc and tso. It takes no preemption.
 * The cure: mask the port, move it, unmask it by hypercall. That looks at the pending bit and announces the event on
 * the new vCPU.
 *
 *   upcall explore examples/races/r20-rebind-while-pending.ts
 *   upcall explore examples/races/r20-rebind-while-pending.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';

const PORT = 1;
const BIT = 1 << PORT;
/** Sending on this end raises PORT. */
const FAR_END = 2;

export default defineScenario({
  name: 'r20-rebind-while-pending',
  description: 'a port with a pending event is moved to another vCPU: the old one skips it, the new one is not told',
  words: { filter: [BIT, 0], handled: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    const { evtchn } = domain.hypercall;
    // Connecting makes an event up at the far end, where nobody waits for one.
    domain.sharedInfo.evtchn_mask.word(0).or(1 << FAR_END);
    evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
    evtchn.bindInterdomain(DOMID_SELF, PORT);
  },
  vcpus: 2,
  guest(vcpu) {
    const fixed = vcpu.domain.args.variant === 'fixed';
    const { info } = vcpu;
    const { filter, handled } = vcpu.words;
    const { evtchn } = vcpu.hypercall;
    const pending = vcpu.sharedInfo.evtchn_pending.word(0);
    const mask = vcpu.sharedInfo.evtchn_mask.word(0);
    const ownFilter = vcpu.id === 0 ? filter[0] : filter[1];
    let upcalls = 0;
    vcpu.onUpcall(() => {
      upcalls++;
      info.evtchn_upcall_pending.write(0);
      if ((info.evtchn_pending_sel.lo.exchange(0) & 1) === 0) return;
      if ((pending.read() & ~mask.read() & ownFilter.load() & BIT) === 0) return;
      if ((pending.and(~BIT) & BIT) !== 0) handled.add(1);
    });

    if (vcpu.id === 0) {
      while (upcalls === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
      return;
    }

    evtchn.send(FAR_END);
    if (fixed) mask.or(BIT);
    evtchn.bindVcpu(PORT, 1);
    filter[0].and(~BIT);
    filter[1].or(BIT);
    if (fixed) evtchn.unmask(PORT);

    // Take what was announced here before going.
    info.evtchn_upcall_mask.write(0);
    if (info.evtchn_upcall_pending.read() !== 0) vcpu.hypercall.xenVersion();
  },
  check({ words }) {
    if (words.handled.read() === 0) throw new Error('the event was sent and no handler has run');
  },
});
