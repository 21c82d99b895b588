/**
 * XSA-343, its other part: interrupts are sent without the domain's lock. A VIRQ or PIRQ that is under way while its port is
 * closed does not land on the next owner of the number.
 */
import { defineScenario } from 'upcall';
import { VIRQ_DEBUG } from 'upcall/abi';

const PORT = 1;
const PIRQ = 3;

export default defineScenario({
  name: 'interrupt-on-reused-port',
  pirqs: [PIRQ],
  args: { kind: 'virq' },
  guest(vcpu) {
    const { evtchn } = vcpu.hypercall;
    const port = vcpu.domain.args.kind === 'virq' ? evtchn.bindVirq(VIRQ_DEBUG, 0) : evtchn.bindPirq(PIRQ);
    vcpu.assert(port === PORT, 'the first port');
    evtchn.close(PORT);
    vcpu.assert(evtchn.bindIpi(0) === PORT, 'the same port again');
  },
  devices: {
    device(device) {
      if (device.args.kind === 'virq') device.raiseVirq(1, 0, VIRQ_DEBUG);
      else device.raisePirq(PIRQ);
    },
  },
  // Whatever was under way has arrived when the device has done, too.
  check({ domain }) {
    const pending = domain.sharedInfo.evtchn_pending.word(0).load();
    if (pending !== 0) throw new Error('an interrupt landed on the next owner of its port');
  },
});
