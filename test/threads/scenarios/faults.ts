/** A domain that fails in the way `args.fault` says while its neighbours sleep and spin, beside one that goes on. */
import { defineScenario, type Vcpu } from 'upcall';
import { SHUTDOWN } from 'upcall/abi';

/** How vCPU 1 of the victim fails. */
const FAULTS: Readonly<Record<string, (vcpu: Vcpu) => unknown>> = {
  throws() {
    throw new RangeError('on purpose');
  },
  'throws no error'() {
    throw 'a string';
  },
  asserts(vcpu) {
    vcpu.assert(1 + 1 === 3, 'arithmetic holds');
  },
  'asserts and swallows'(vcpu) {
    for (;;) {
      try {
        vcpu.assert(false, 'swallowed');
      } catch {
        // What a careless guest does.
      }
    }
  },
  'throws in a handler'(vcpu) {
    vcpu.onUpcall(() => {
      throw new Error('in the handler');
    });
    const port = vcpu.hypercall.evtchn.bindIpi(vcpu.id);
    vcpu.info.evtchn_upcall_mask.write(0);
    try {
      vcpu.hypercall.evtchn.send(port);
    } catch {
      return 'the handler failed, not this code';
    }
  },
  'takes an upcall without callback'(vcpu) {
    const port = vcpu.hypercall.evtchn.bindIpi(vcpu.id);
    vcpu.info.evtchn_upcall_mask.write(0);
    vcpu.hypercall.evtchn.send(port);
  },
  'exits the process'() {
    process.exit(3);
  },
  'runs out of memory'() {
    const hoard: number[][] = [];
    for (;;) hoard.push(new Array(10_000).fill(1.5));
  },
  'never yields'() {
    for (;;);
  },
  'spins for ever'(vcpu) {
    while (vcpu.words.never.read() === 0) vcpu.relax();
  },
  'returns a function'() {
    return () => {};
  },
  'returns a promise'() {
    return Promise.resolve(1);
  },
  'reaches outside its memory'(vcpu) {
    vcpu.memory.read32(2 ** 30);
  },
  'powers off'(vcpu) {
    vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_poweroff);
  },
  reboots(vcpu) {
    vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_reboot);
  },
  suspends(vcpu) {
    vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_suspend);
  },
  crashes(vcpu) {
    vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_crash);
  },
  'lets its watchdog expire'(vcpu) {
    vcpu.hypercall.sched.watchdog(0, 1);
    for (;;) vcpu.block();
  },
};

export default defineScenario({
  name: 'faults',
  args: { fault: 'throws' },
  domains: {
    victim: {
      words: { ready: 0, never: 0 },
      guests: [
        (vcpu) => {
          vcpu.onUpcall(() => {});
          vcpu.words.ready.add(1);
          for (;;) vcpu.block();
        },
        (vcpu) => {
          while (vcpu.words.ready.load() < 2) vcpu.relax();
          return FAULTS[vcpu.domain.args.fault]!(vcpu);
        },
        (vcpu) => {
          vcpu.words.ready.add(1);
          while (vcpu.words.never.read() === 0);
        },
      ],
    },
    bystander: {
      guest(vcpu) {
        for (let i = 0; i < 100; i++) vcpu.hypercall.xenVersion();
        return 'fine';
      },
    },
  },
});
