/**
 * A vCPU binds a port whose other end is sent to at any time before, during and after. The port notifies this vCPU from
 * the start: a send that has read another one as its target is lost to a move, here as in Xen. Under the FIFO ABI nobody
 * sends before the domain uses it: a send that is under way during the switch may be lost, here as in Xen.
 */

import { DOMID_SELF } from '../../../lib/abi';
import { defineScenario } from '../../../lib/engine/scenario';
import { Events, irqEnable } from '../../../lib/guest';

export default defineScenario({
  name: 'bind',
  vcpus: 2,
  words: { near: 0, far: 0, served: 0, up: 0 },
  setup({ domain }) {
    const { evtchn } = domain.hypercall;
    const far = evtchn.allocUnbound(DOMID_SELF, DOMID_SELF);
    domain.words.far.write(far);
    domain.words.near.write(evtchn.bindInterdomain(DOMID_SELF, far));
    // The event the hypervisor makes up is out of the way; what comes now was sent.
    domain.sharedInfo.evtchn_pending.word(0).store(0);
    domain.vcpuInfo(0).evtchn_pending_sel.lo.store(0);
    domain.vcpuInfo(0).evtchn_upcall_pending.store(0);
  },
  guest(vcpu) {
    const { near, far, served, up } = vcpu.words;
    if (vcpu.id === 1) {
      while (vcpu.domain.events === 'fifo' && up.load() === 0) vcpu.relax();
      vcpu.hypercall.evtchn.send(far.read());
      return;
    }
    const events = new Events(vcpu);
    up.store(1);
    irqEnable(vcpu);
    events.bindEvtchn(near.read(), () => served.add(1));
    while (served.load() === 0) vcpu.relax();
  },
});
