/** A domain that makes use of what there is and is gone: channels, timers, console, a device. */
import { defineScenario } from 'upcall';
import { VIRQ_TIMER } from 'upcall/abi';
import { Events, haltUntil } from 'upcall/guest';

export default defineScenario({
  name: 'short-lived',
  vcpus: 2,
  pirqs: [1],
  words: { port: 0, ticks: 0, greeted: 0 },
  guest(vcpu) {
    const { greeted, port, ticks } = vcpu.words;
    const events = new Events(vcpu);
    if (vcpu.id === 0) {
      events.bindVirq(VIRQ_TIMER, () => ticks.add(1));
      vcpu.hypercall.timer.setTimerOp(vcpu.now() + 1000);
      haltUntil(vcpu, () => ticks.load() > 0);
      while (port.load() === 0) vcpu.relax();
      vcpu.hypercall.evtchn.send(port.load());
      vcpu.hypercall.console.write('hello\n');
    } else {
      port.store(events.bindIpi(() => greeted.store(1)));
      haltUntil(vcpu, () => greeted.load() === 1);
    }
  },
  devices: {
    card(device) {
      device.raisePirq(1);
    },
  },
});
