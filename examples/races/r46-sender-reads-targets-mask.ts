/**
 * R46: an emulator's sender looks whether the target has upcalls masked, to spare itself the wake-up.
 *
 * Where: no known case; a rule that is easily broken when event channels are rebuilt. Xen reads evtchn_upcall_mask only
 * on the CPU that runs the vCPU, which is why guests may change it with plain stores.
 *
 * Both sides are written out here in named words: vCPU 0 plays the guest, vCPU 1 the emulator's sender.
 * 1. The guest stores 0 to the mask; the store waits in its store buffer.
 * 2. The guest reads the upcall flag: clear. It has nothing to do and sleeps.
 * 3. The sender sets the flag and reads the mask, which still is 1: the target will look by itself when it unmasks.
 * 4. The store reaches memory.
 * The flag is set, the mask clear, and nobody wakes the guest.
 *
 * Invariant: a vCPU with its upcall flag set and its mask clear is running an upcall, about to, or being woken.
 * Seen as: deadlock, under tso only: with sequential consistency one of the two sees the other's store.
 * The cure: the sender always wakes the target, whose own thread decides.
 *
 *   upcall explore examples/races/r46-sender-reads-targets-mask.ts --memory-model tso
 *   upcall explore examples/races/r46-sender-reads-targets-mask.ts --memory-model tso --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'r46-sender-reads-targets-mask',
  description: "a sender reads the target's upcall mask and finds a value that is about to be replaced (tso)",
  words: { upcall: 0, mask: 1, wake: 0 },
  args: { variant: 'buggy' },
  guests: [
    (vcpu) => {
      const { mask, upcall, wake } = vcpu.words;
      mask.write(0);
      if (upcall.read() !== 0) return;
      while (wake.load() === 0) vcpu.memory.wait32(wake.address, 0);
    },
    (vcpu) => {
      const { mask, upcall, wake } = vcpu.words;
      upcall.store(1);
      if (vcpu.domain.args.variant !== 'fixed' && mask.read() !== 0) return;
      wake.store(1);
      vcpu.memory.notify32(wake.address);
    },
  ],
});
