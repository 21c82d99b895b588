/**
 * XSA-344: closing all ports takes long, so it lets others in between. Two resets and a bind at once: a reset is refused while
 * another is under way, and says so if a port was bound meanwhile; a port that was bound is open or closed, never in between;
 * afterwards the domain can be reset.
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF, EVTCHNSTAT_closed, EVTCHNSTAT_ipi } from 'upcall/abi';
import { attempt } from './attempt';

const ANSWERS = ['ok', 'EBUSY', 'EAGAIN'];

export default defineScenario({
  name: 'resets-at-once',
  invariants: [{ name: 'bounded-steps', hypercall: 3000 }],
  setup({ domain }) {
    for (let i = 0; i < 3; i++) domain.hypercall.evtchn.bindIpi(0);
  },
  guests: [
    (vcpu) => attempt(() => vcpu.hypercall.evtchn.reset(DOMID_SELF)),
    (vcpu) => attempt(() => vcpu.hypercall.evtchn.reset(DOMID_SELF)),
    (vcpu) => vcpu.hypercall.evtchn.bindIpi(0),
  ],
  check({ domain, results }) {
    const { evtchn } = domain.hypercall;
    const [first, second, port] = results as [string, string, number];
    for (const answer of [first, second]) if (!ANSWERS.includes(answer)) throw new Error(`a reset came to ${answer}`);
    if (first === 'EBUSY' && second === 'EBUSY') throw new Error('both resets were refused');
    for (let each = 1; each <= 4; each++) {
      const { status } = evtchn.status(DOMID_SELF, each);
      const open = each === port && status === EVTCHNSTAT_ipi;
      if (status !== EVTCHNSTAT_closed && !open) throw new Error(`port ${each} is ${status} after ${results}`);
    }
    evtchn.reset(DOMID_SELF);
    if (evtchn.bindIpi(0) !== 1) throw new Error('a port was not closed');
  },
});
