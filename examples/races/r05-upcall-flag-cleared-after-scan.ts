/**
 * R05: the upcall clears evtchn_upcall_pending (or the selector) after it has scanned the ports, not before.
 * Under the FIFO ABI, where the ready bits of the queues are what the selector is, it is the same.
 *
 * Where: Xen's header demands the opposite order in its comment on evtchn_upcall_pending. No project is known here
 * that shipped exactly this fault.
 *
 * Port 1 has been sent at first.
 * 1. vCPU 0 takes the upcall, takes the selector, scans.
 * 2. vCPU 1 sends port 2: pending and selector bits are set; the upcall flag is still set, so nobody is kicked.
 * 3. vCPU 0 clears the upcall flag and returns.
 * Port 2 is pending, its selector bit is set, and no upcall will come until some other event sets the flag.
 *
 * Invariant: at rest, a selector that is not zero has the upcall flag of its vCPU set.
 * Seen as: deadlock, under sc and tso. It takes one preemption.
 * Variant late-selector clears the flag in time but reads the selector and clears the bits it has served after the
 * scan: the sender finds its bit still set and leaves it at that.
 *
 *   upcall explore examples/races/r05-upcall-flag-cleared-after-scan.ts [--events fifo]
 *   upcall explore examples/races/r05-upcall-flag-cleared-after-scan.ts --args '{"variant":"late-selector"}'
 *   upcall explore examples/races/r05-upcall-flag-cleared-after-scan.ts --args '{"variant":"fixed"}'
 */
import { defineScenario } from 'upcall';
import { barePorts, bootPorts } from 'upcall/guest';

const FIRST = 1;
const SECOND = 2;
const BOTH = (1 << FIRST) | (1 << SECOND);

export default defineScenario({
  name: 'r05-upcall-flag-cleared-after-scan',
  description: 'the upcall flag is cleared after the scan: an event raised during the scan announces itself in vain',
  args: { variant: 'buggy' },
  setup({ domain }) {
    bootPorts(domain);
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.bindIpi(0);
    domain.hypercall.evtchn.send(FIRST);
  },
  guests: [
    (vcpu) => {
      const { variant } = vcpu.domain.args;
      const { info } = vcpu;
      const ports = barePorts(vcpu);
      const { announced } = ports;
      let handled = 0;

      function serve(port: number): void {
        ports.pending(port).clear();
        handled |= 1 << port;
      }

      vcpu.onUpcall(() => {
        if (variant === 'fixed') {
          info.evtchn_upcall_pending.write(0);
          ports.visit(announced.exchange(0), serve);
        } else if (variant === 'late-selector') {
          info.evtchn_upcall_pending.write(0);
          const taken = announced.read();
          ports.visit(taken, serve);
          announced.and(~taken);
        } else {
          ports.visit(announced.exchange(0), serve);
          info.evtchn_upcall_pending.write(0);
        }
      });

      while (handled !== BOTH) {
        vcpu.block();
        info.evtchn_upcall_mask.write(1);
      }
    },
    (vcpu) => vcpu.hypercall.evtchn.send(SECOND),
  ],
});
