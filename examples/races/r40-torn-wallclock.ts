/**
 * R40: a wallclock or time record is read while it is rewritten, and half of either is taken for the time.
 *
 * Where: xen 1271b79339 (the wallclock was read with no version at all; two counters became one that is odd during the
 * update), xen a555857793 (a barrier missing in the test whether a copy is up to date), and KVM, which raised the
 * version only after the fields (kvm list, 2015).
 *
 * vCPU 1 stands for Xen here and rewrites the wallclock in shared_info as Xen does, with plain stores: 1 s, 1 ns
 * becomes 2 s, 2 ns. vCPU 0 reads it. Four ways to get 2 s, 1 ns or the reverse:
 * - buggy: the reader does not look at the version. It reads a field; the writer rewrites both; it reads the other.
 * - odd-accepted: the reader looks whether the version stayed the same, not whether it is odd. Writer: version odd,
 *   seconds. Reader: everything. Writer: the rest.
 * - no-second-look: the reader waits for an even version and does not look again. Version, seconds; the writer; the
 *   rest.
 * - late-version: a right reader, but the writer changes the version only when the fields are done. Writer: seconds.
 *   Reader: everything, the same version twice. Writer: the rest.
 *
 * Invariant: the values read were published together.
 * Seen as: assertion, under sc and tso. Each takes one preemption.
 * The protocol (variant fixed): the writer makes the version odd, changes the fields, makes it even; the reader takes
 * what it read between two looks at the same even version. Neither x86 nor tso needs barriers for it.
 *
 *   upcall explore examples/races/r40-torn-wallclock.ts
 *   upcall explore examples/races/r40-torn-wallclock.ts --args '{"variant":"late-version"}'
 *   upcall explore examples/races/r40-torn-wallclock.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';

export default defineScenario({
  name: 'r40-torn-wallclock',
  description: 'seconds of one wallclock and nanoseconds of another: read while it is rewritten',
  args: { variant: 'buggy' },
  setup({ domain }) {
    const { wc_version, wc_sec, wc_nsec } = domain.sharedInfo;
    wc_version.write(2);
    wc_sec.write(1);
    wc_nsec.write(1);
  },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { wc_version, wc_sec, wc_nsec } = vcpu.sharedInfo;
      for (;;) {
        const version = variant === 'buggy' ? 0 : wc_version.read();
        const mayBeOdd = variant === 'buggy' || variant === 'odd-accepted';
        if (mayBeOdd || (version & 1) === 0) {
          const seconds = wc_sec.read();
          const nanoseconds = wc_nsec.read();
          const looksAgain = variant !== 'buggy' && variant !== 'no-second-look';
          if (!looksAgain || wc_version.read() === version) {
            vcpu.assert(seconds === nanoseconds, `the time is ${seconds} s, ${nanoseconds} ns: it never was`);
            return;
          }
        }
        vcpu.relax();
      }
    },
    (vcpu) => {
      const late = vcpu.domain.args.variant === 'late-version';
      const { wc_version, wc_sec, wc_nsec } = vcpu.sharedInfo;
      if (!late) wc_version.write(3);
      wc_sec.write(2);
      wc_nsec.write(2);
      wc_version.write(4);
    },
  ],
});
