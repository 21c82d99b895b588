/**
 * R08: a guest enables upcalls with one unlocked read-modify-write over both bytes, upcall flag and upcall mask.
 *
 * Where: Linux 04c44a080d2f. A 16-bit AND cleared the mask byte and delivered the flag byte to test in one go. Xen's
 * header lets the guest write its mask byte unlocked because the two are separate bytes.
 *
 * 1. vCPU 0 loads both bytes: flag 0, mask 1.
 * 2. vCPU 1 sends: pending bit, selector bit, upcall flag 1.
 * 3. vCPU 0 stores both bytes as 0: the flag is gone.
 * The guest goes on with an event announced in its selector that nobody will make it look at.
 *
 * Invariant: only the guest's own clear takes the upcall flag from 1 to 0.
 * Seen as: deadlock, under sc and tso. It takes one preemption, inside the read-modify-write.
 *
 * The bytes are the same under both event-channel ABIs.
 *
 *   upcall explore examples/races/r08-plain-update-of-flag-and-mask.ts [--events fifo]
 *   upcall explore examples/races/r08-plain-update-of-flag-and-mask.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;
const FLAG_BYTE = 0x00ff;
const MASK_BYTE = 0xff00;

export default defineScenario({
  name: 'r08-plain-update-of-flag-and-mask',
  description: 'upcalls are enabled by an unlocked write that covers the upcall flag too, and clears it',
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const { info, memory } = vcpu;
      const ports = barePorts(vcpu);
      let handled = 0;
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          ports.pending(PORT).clear();
          handled++;
        });
      });

      // Upcalls are disabled from boot. Enable them, and have those delivered that came before.
      let due: number;
      if (vcpu.domain.args.variant === 'fixed') {
        info.evtchn_upcall_mask.write(0);
        due = info.evtchn_upcall_pending.read();
      } else {
        const both = memory.read32(info.address);
        memory.write32(info.address, both & ~MASK_BYTE);
        due = both & FLAG_BYTE;
      }
      if (due !== 0) vcpu.hypercall.xenVersion();

      info.evtchn_upcall_mask.write(1);
      while (handled === 0) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
