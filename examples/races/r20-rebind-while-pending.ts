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
 * Under the FIFO ABI the event stays on the queue of vCPU 0, and as long as it does the hypervisor leaves it there. So there
 * the cure takes more (variant fixed does it): a vCPU that takes off an event of a port that it does not serve unmasks the port by
 * hypercall, which puts the event on the queue of the vCPU that the port is bound to now. The cure of the 2-level ABI alone is
 * variant unmasked.
 *
 *   upcall explore examples/races/r20-rebind-while-pending.ts [--events fifo]
 *   upcall explore examples/races/r20-rebind-while-pending.ts --events fifo --args '{"variant":"unmasked"}'
 *   upcall explore examples/races/r20-rebind-while-pending.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { barePorts, bootPorts } from 'upcall/guest';

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
    bootPorts(domain).mask(FAR_END).set();
    evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
    evtchn.bindInterdomain(DOMID_SELF, PORT);
  },
  vcpus: 2,
  guest(vcpu) {
    const { variant } = vcpu.domain.args;
    const cured = variant !== 'buggy';
    const passesOn = variant === 'fixed' && vcpu.domain.events === 'fifo';
    const { info } = vcpu;
    const { filter, handled } = vcpu.words;
    const { evtchn } = vcpu.hypercall;
    const ports = barePorts(vcpu);
    const pending = ports.pending(PORT);
    const ownFilter = vcpu.id === 0 ? filter[0] : filter[1];
    let upcalls = 0;
    vcpu.onUpcall(() => {
      upcalls++;
      info.evtchn_upcall_pending.write(0);
      ports.visit(ports.announced.exchange(0), () => {
        if ((ownFilter.load() & BIT) === 0) {
          if (passesOn) evtchn.unmask(PORT);
        } else if (pending.clear()) {
          handled.add(1);
        }
      });
    });

    if (vcpu.id === 0) {
      while (upcalls === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
      return;
    }

    evtchn.send(FAR_END);
    if (cured) ports.mask(PORT).set();
    evtchn.bindVcpu(PORT, 1);
    filter[0].and(~BIT);
    filter[1].or(BIT);
    if (cured) evtchn.unmask(PORT);

    // Take what was announced here before going.
    info.evtchn_upcall_mask.write(0);
    if (info.evtchn_upcall_pending.read() !== 0) vcpu.hypercall.xenVersion();
  },
  check({ domain, words }) {
    // vCPU 1 may have gone before vCPU 0 passed the event on.
    const announced = domain.vcpuInfo(1).evtchn_upcall_pending.read() !== 0;
    if (words.handled.read() === 0 && !announced) throw new Error('the event was sent and no handler has run');
  },
});
