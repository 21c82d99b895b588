/**
 * R36: a vCPU's vcpu_info is moved to another place while a sender still marks the old one.
 *
 * Where: xen c58ae69360 allows one registration only, since somebody may be using the old pointer; c8cfbba625 is about
 * the same. KVM 003d914220c9 sends to a shadow while the VMM copies. Xen now marks everything at the new place after
 * the switch.
 *
 * The fault is in the hypervisor, so both sides are written out here in named words, place 0 being the old one and
 * place 1 the new: vCPU 0 plays the registration, vCPU 1 a sender.
 * 1. The registration copies selector and upcall flag to the new place.
 * 2. The sender sets the pending bit, then selector bit and upcall flag at the old place, where the pointer still
 *    leads.
 * 3. The registration switches the pointer.
 * The old place is never read again: the event is not announced.
 *
 * Invariant: an event sent before or during the move is announced at the new place.
 * Seen as: assertion (the check at the end), under sc and tso. It takes one preemption.
 * The cure: after the switch set every selector bit and the upcall flag at the new place. A spurious upcall is
 * harmless.
 *
 * Variant xen is the real thing: VCPUOP_register_vcpu_info of the hypervisor here, EVTCHNOP_send against it, and a
 * guest that sleeps until it has its event, under either event-channel ABI.
 *
 *   upcall explore examples/races/r36-vcpu-info-moved-under-sender.ts
 *   upcall explore examples/races/r36-vcpu-info-moved-under-sender.ts --args '{"variant":"fixed"}'
 *   upcall explore examples/races/r36-vcpu-info-moved-under-sender.ts --args '{"variant":"xen"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;
/** A frame that nobody uses. */
const NEW_FRAME = 16;

export default defineScenario({
  name: 'r36-vcpu-info-moved-under-sender',
  description: 'a sender marks the place that a vcpu_info has just been moved away from',
  words: { place: 0, pending: 0, selector: [0, 0], upcall: [0, 0] },
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const { place, selector, upcall } = vcpu.words;
      if (vcpu.domain.args.variant !== 'xen') {
        selector[1].store(selector[0].load());
        upcall[1].store(upcall[0].load());
        place.store(1);
        if (vcpu.domain.args.variant === 'fixed') {
          selector[1].store(-1);
          upcall[1].store(1);
        }
        return;
      }

      const ports = barePorts(vcpu);
      let handled = 0;
      vcpu.onUpcall(() => {
        vcpu.info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          if (ports.pending(PORT).clear()) handled++;
        });
      });
      vcpu.hypercall.vcpu.registerVcpuInfo(0, NEW_FRAME, 0);
      while (handled === 0) {
        vcpu.block();
        vcpu.info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => {
      const { pending, place, selector, upcall } = vcpu.words;
      if (vcpu.domain.args.variant === 'xen') {
        vcpu.hypercall.evtchn.send(PORT);
        return;
      }
      pending.store(1);
      if (selector[place.load() as 0 | 1].exchange(1) === 0) upcall[place.load() as 0 | 1].store(1);
    },
  ],
  check({ words, args }) {
    if (args.variant === 'xen') return;
    const announced = words.selector[1].read() !== 0 && words.upcall[1].read() !== 0;
    if (words.pending.read() !== 0 && !announced) throw new Error('the event is not announced at the new place');
  },
});
