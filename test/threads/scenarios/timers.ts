/** What wakes a vCPU when nobody sends it anything. Times in ms that each sleep took. */
import { defineScenario } from 'upcall';
import { VIRQ_TIMER } from 'upcall/abi';
import { Events } from 'upcall/guest';

const SLEEP_NS = 20_000_000;

export default defineScenario({
  name: 'timers',
  guest(vcpu) {
    const events = new Events(vcpu);
    vcpu.hypercall.vcpu.stopPeriodicTimer(vcpu.id);
    let ticks = 0;
    events.bindVirq(VIRQ_TIMER, () => {
      ticks++;
    });
    const timed = (sleep: (deadlineNs: number) => void) => {
      const start = vcpu.now();
      sleep(start + SLEEP_NS);
      return (vcpu.now() - start) / 1e6;
    };
    const setTimerOp = timed((deadline) => {
      vcpu.hypercall.timer.setTimerOp(deadline);
      while (ticks < 1) vcpu.block();
    });
    const singleshot = timed((deadline) => {
      vcpu.hypercall.vcpu.setSingleshotTimer(vcpu.id, deadline);
      while (ticks < 2) vcpu.block();
    });
    const poll = timed((deadline) => {
      while (vcpu.now() < deadline) vcpu.hypercall.sched.poll([], deadline);
    });
    // The periodic timer ticks for a vCPU that runs.
    const periodic = timed(() => {
      vcpu.hypercall.vcpu.setPeriodicTimer(vcpu.id, 2_000_000);
      while (ticks < 6) vcpu.relax();
    });
    return { setTimerOp, singleshot, poll, periodic };
  },
});
