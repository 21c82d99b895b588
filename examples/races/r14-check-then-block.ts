/**
 * R14: an idle loop finds nothing to run, then blocks, and an upcall in between makes something runnable.
 *
 * Where: Mini-OS (32946b60f1, 5991224aff: threads that had been woken waited up to 10 s), Solo5 (8bf0bff).
 *
 * 1. vCPU 0 finds its run queue empty, upcalls enabled.
 * 2. vCPU 1 sends. The upcall runs: it makes a thread runnable, and leaves the upcall flag clear.
 * 3. vCPU 0 blocks: the hypervisor finds no upcall to deliver and lets it sleep.
 * It sleeps with a runnable thread until some other event comes.
 *
 * Invariant: a blocked vCPU has no upcall to deliver and no runnable thread.
 * Seen as: deadlock, under sc and tso. It takes one preemption, or none if the upcall interrupts.
 * Variant enable-first decides with upcalls disabled, but enables them just before it blocks.
 * The cure decides with upcalls disabled and lets the block operation enable them: it marks the vCPU blocked first and
 * looks for an upcall afterwards.
 *
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r14-check-then-block.ts [--events fifo]
 *   upcall explore examples/races/r14-check-then-block.ts --args '{"variant":"enable-first"}'
 *   upcall explore examples/races/r14-check-then-block.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;

export default defineScenario({
  name: 'r14-check-then-block',
  description: 'an idle loop looks for work with upcalls enabled, then blocks: the upcall in between is slept over',
  words: { runnable: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { info } = vcpu;
      const { runnable } = vcpu.words;
      const ports = barePorts(vcpu);
      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          if (ports.pending(PORT).clear()) runnable.write(1);
        });
      });

      // The idle loop. Upcalls are disabled from boot.
      const disabledDuringLook = variant === 'buggy' ? 0 : 1;
      info.evtchn_upcall_mask.write(disabledDuringLook);
      while (runnable.read() === 0) {
        if (variant === 'enable-first') info.evtchn_upcall_mask.write(0);
        vcpu.block();
        info.evtchn_upcall_mask.write(disabledDuringLook);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
