/**
 * R11: on its way out a kernel enables upcalls and leaves for user mode in two steps; an upcall fits between them.
 *
 * Where: Linux 9ec2b804e099 treats an upcall that hits the code between the two steps specially; xen 3d17485a07 did the
 * like against nested delivery in XenLinux.
 *
 * 1. vCPU 0 tests its work flags, upcalls disabled: nothing to do.
 * 2. vCPU 0 enables upcalls.
 * 3. The upcall that was waiting runs. It asks for a reschedule; it interrupted the kernel, so it leaves that to the
 *    kernel's own way out.
 * 4. vCPU 0 leaves for user mode: nobody looks at the flag again until the next entry.
 *
 * An upcall that interrupts user mode does look at the flag, on its own way back. So enabling and leaving have to be one
 * step, as the iret hypercall makes them: no upcall may find the kernel past its test with upcalls enabled.
 *
 * Invariant: whenever user mode runs, the work flags were tested after the last upcall.
 * Seen as: assertion, under sc and tso. It takes no preemption: the upcall interrupts.
 *
 * Both event-channel ABIs have it.
 *
 *   upcall explore examples/races/r11-upcall-between-enable-and-leave.ts [--events fifo]
 *   upcall explore examples/races/r11-upcall-between-enable-and-leave.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const PORT = 1;
const KERNEL = 0;
const USER = 1;

export default defineScenario({
  name: 'r11-upcall-between-enable-and-leave',
  description: 'an upcall between enabling upcalls and leaving the kernel sets a work flag that nobody looks at',
  words: { mode: KERNEL, needResched: 0 },
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => {
      const fixed = vcpu.domain.args.variant === 'fixed';
      const { info } = vcpu;
      const { mode, needResched } = vcpu.words;
      const ports = barePorts(vcpu);

      /** What the scheduler would do is left out: the flag is taken. Upcalls are disabled. */
      function doWork(): void {
        while (needResched.read() !== 0) needResched.write(0);
      }

      vcpu.onUpcall(() => {
        info.evtchn_upcall_pending.write(0);
        ports.visit(ports.announced.exchange(0), () => {
          ports.pending(PORT).clear();
          needResched.write(1);
        });
        if (mode.read() === USER) doWork();
      });

      // The kernel's way out. Upcalls are disabled.
      doWork();
      if (fixed) mode.write(USER);
      info.evtchn_upcall_mask.write(0);
      if (!fixed) mode.write(USER);

      // User mode.
      vcpu.assert(needResched.read() === 0, 'user mode runs while a reschedule is due');
    },
    (vcpu) => vcpu.hypercall.evtchn.send(PORT),
  ],
});
