/**
 * XSA-338: a port above the 2-level ABI's limit is valid under FIFO, and a reset takes the domain back to 2-level while an
 * operation on it is under way. The operation is refused or done, and no bit is set beyond the bitmaps.
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF } from 'upcall/abi';
import { ARRAY_FRAME, attempt, CONTROL_FRAME, SPARE_ARRAY_FRAME } from './attempt';

/** The 2-level ABI of x86_32 ends at 1,023. */
const HIGH = 1026;

export default defineScenario({
  name: 'valid-port-turns-invalid',
  abi: 'x86_32',
  events: 'fifo',
  maxPort: 1100,
  words: { clock: 0 },
  args: { op: 'send' },
  setup({ domain }) {
    const { evtchn } = domain.hypercall;
    evtchn.initControl(CONTROL_FRAME, 0, 0);
    evtchn.expandArray(ARRAY_FRAME);
    evtchn.expandArray(SPARE_ARRAY_FRAME);
    while (evtchn.bindIpi(0) < HIGH);
    // Closed again but for the highest, so that the reset is short.
    for (let port = 1; port < HIGH; port++) evtchn.close(port);
    domain.words.clock.write(domain.sharedInfo.wc_version.read());
  },
  guests: [
    (vcpu) => {
      const result = attempt(() => vcpu.hypercall.evtchn.reset(DOMID_SELF));
      vcpu.assert(result === 'ok', `the reset came to ${result}`);
    },
    (vcpu) => {
      const { evtchn, sched } = vcpu.hypercall;
      const operations: Record<string, () => unknown> = {
        send: () => evtchn.send(HIGH),
        unmask: () => evtchn.unmask(HIGH),
        poll: () => sched.poll([HIGH], vcpu.now() + 1),
        setPriority: () => evtchn.setPriority(HIGH, 3),
        status: () => evtchn.status(DOMID_SELF, HIGH),
        close: () => evtchn.close(HIGH),
      };
      const result = attempt(operations[vcpu.domain.args.op] as () => unknown);
      vcpu.assert(['ok', 'EINVAL', 'ENOSYS', 'EACCES'].includes(result), `the operation came to ${result}`);
      return result;
    },
  ],
  check({ domain, words }) {
    const { evtchn } = domain.hypercall;
    if (domain.sharedInfo.wc_version.read() !== words.clock.read())
      throw new Error('what follows the bitmaps has changed');
    // From now on the 2-level ABI's limit counts.
    let last = 0;
    while (attempt(() => (last = evtchn.bindIpi(0))) === 'ok');
    if (last !== 1023) throw new Error(`the last port to be had is ${last}`);
  },
});
