/**
 * XSA-343, XSA-505: operations that have looked which ABI a domain uses, or have found its FIFO state, while EVTCHNOP_reset takes
 * it away.
 *
 * vCPU 0 resets; vCPU 1 makes the operation that `args.op` names, or ('far') the peer sends. When the reset has succeeded the domain
 * is on the 2-level ABI, and the pages of the FIFO ABI are the guest's own again: it fills them, and nobody may write to them
 * any more.
 */
import { defineScenario } from 'upcall';
import { DOMID_SELF, EVTCHNSTAT_closed, EVTCHNSTAT_ipi } from 'upcall/abi';
import {
  ARRAY_FRAME,
  attempt,
  CONTROL_BYTES,
  CONTROL_FRAME,
  FRAME_BYTES,
  SPARE_ARRAY_FRAME,
  SPARE_CONTROL_FRAME,
} from './attempt';

const IPI = 1;
const FAR = 2;
const WORDS_USED = 4;
const CANARY = 0x5a5a5a5a;
const CONTROL = CONTROL_FRAME * FRAME_BYTES;
const ARRAY = ARRAY_FRAME * FRAME_BYTES;
/** What is looked after: the head of the control block, and the event words. */
const CANARIES = [CONTROL, CONTROL + 8, ...Array.from({ length: WORDS_USED }, (_, i) => ARRAY + i * 4)];

export default defineScenario({
  name: 'reset-under-way',
  args: { op: 'send' },
  domains: {
    local: {
      words: { freed: 0 },
      guests: [
        (vcpu) => {
          const result = attempt(() => vcpu.hypercall.evtchn.reset(DOMID_SELF));
          vcpu.assert(result === 'ok' || result === 'EAGAIN', `the reset came to ${result}`);
          if (result !== 'ok') return result;
          for (const address of CANARIES) vcpu.memory.store32(address, CANARY);
          vcpu.words.freed.store(1);
          return result;
        },
        (vcpu) => {
          const { evtchn, sched } = vcpu.hypercall;
          const operations: Record<string, () => unknown> = {
            send: () => evtchn.send(IPI),
            unmask: () => evtchn.unmask(IPI),
            poll: () => sched.poll([IPI], vcpu.now() + 1),
            setPriority: () => evtchn.setPriority(IPI, 3),
            bindIpi: () => evtchn.bindIpi(1),
            bindVcpu: () => evtchn.bindVcpu(FAR, 1),
            status: () => evtchn.status(DOMID_SELF, IPI),
            close: () => evtchn.close(IPI),
            expandArray: () => evtchn.expandArray(SPARE_ARRAY_FRAME),
            initControl: () => evtchn.initControl(SPARE_CONTROL_FRAME, 0, 1),
            far: () => 0,
          };
          return attempt(operations[vcpu.domain.args.op] as () => unknown);
        },
      ],
    },
    peer: {
      guest(vcpu) {
        return vcpu.domain.args.op === 'far' ? attempt(() => vcpu.hypercall.evtchn.send(1)) : 'ok';
      },
    },
  },
  invariants: [{ name: 'bounded-steps', hypercall: 3000 }],
  setup({ domains }) {
    const local = domains.local!;
    const peer = domains.peer!;
    local.hypercall.evtchn.initControl(CONTROL_FRAME, 0, 0);
    local.hypercall.evtchn.initControl(CONTROL_FRAME, CONTROL_BYTES, 1);
    local.hypercall.evtchn.expandArray(ARRAY_FRAME);
    local.hypercall.evtchn.bindIpi(1);
    const far = local.hypercall.evtchn.allocUnbound(DOMID_SELF, peer.id);
    peer.hypercall.evtchn.bindInterdomain(local.id, far);
    // Masked and pending: there is something for an unmask to do.
    local.memory.or32(ARRAY + IPI * 4, 0xc000_0000 | 0);
  },
  check({ domains, resultsOf }) {
    const { hypercall, memory, sharedInfo, words } = domains.local!;
    const freed = words.freed.read() !== 0;
    for (const address of freed ? CANARIES : []) {
      const found = memory.read32(address);
      if (found !== CANARY) throw new Error(`after the reset somebody wrote ${found >>> 0} to ${address}`);
    }
    // What is open was bound meanwhile, and works by the ABI that the domain uses now.
    for (let port = 1; port <= WORDS_USED; port++) {
      const { status } = hypercall.evtchn.status(DOMID_SELF, port);
      if (status === EVTCHNSTAT_closed) continue;
      if (status !== EVTCHNSTAT_ipi) throw new Error(`port ${port} is ${status} after ${resultsOf.local}`);
      hypercall.evtchn.send(port);
      const bits = freed ? sharedInfo.evtchn_pending.word(0).load() >> port : memory.read32(ARRAY + port * 4) >>> 31;
      if ((bits & 1) === 0) throw new Error(`an event for port ${port} is lost after ${resultsOf.local}`);
    }
  },
});
