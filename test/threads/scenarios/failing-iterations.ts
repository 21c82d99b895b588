/** Fails in the way `args.fault` says, in some iterations or in all. */
import { defineScenario, type Vcpu } from 'upcall';
import { SHUTDOWN } from 'upcall/abi';

const FAULTS: Readonly<Record<string, (vcpu: Vcpu) => unknown>> = {
  nothing() {},
  asserts(vcpu) {
    vcpu.assert(false, 'on purpose');
  },
  'asserts on a random number'(vcpu) {
    const numbers = `${vcpu.random()} ${vcpu.choose(1000)}`;
    vcpu.assert(vcpu.random() < 0.99, numbers);
  },
  throws() {
    throw new RangeError('out of range');
  },
  'exits the process'() {
    process.exit(3);
  },
  crashes(vcpu) {
    vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_crash);
  },
  'crashes and is slow to leave'(vcpu) {
    try {
      vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_crash);
    } finally {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 900);
    }
  },
  'crashes and never leaves'(vcpu) {
    try {
      vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_crash);
    } finally {
      for (;;);
    }
  },
  'is checked for ever'() {},
  'powers off'(vcpu) {
    vcpu.hypercall.sched.shutdown(SHUTDOWN.SHUTDOWN_poweroff);
  },
  blocks(vcpu) {
    vcpu.block();
  },
  'waits in its memory'(vcpu) {
    vcpu.memory.wait32(vcpu.words.never.address, 0);
  },
  'spins for ever'(vcpu) {
    while (vcpu.words.never.load() === 0) vcpu.relax();
  },
  'never yields'() {
    for (;;);
  },
  'runs out of memory'() {
    const hoard: number[][] = [];
    for (;;) hoard.push(new Array(10_000).fill(1.5));
  },
  'changes a word'(vcpu) {
    vcpu.words.never.store(1);
  },
};

export default defineScenario({
  name: 'failing-iterations',
  args: { fault: 'nothing' },
  words: { never: 0 },
  vcpus: 2,
  guest(vcpu) {
    vcpu.onUpcall(() => {});
    if (vcpu.id === 1) FAULTS[vcpu.domain.args.fault]!(vcpu);
  },
  check({ words, args }) {
    while (args.fault === 'is checked for ever');
    if (words.never.read() !== 0) throw new Error('the word has changed');
  },
});
