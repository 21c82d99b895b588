/** Guests that misbehave, each in the way its vCPU's entry in `args.faults` says. */
import { defineScenario, type Vcpu } from 'upcall';

/** What a guest must not have: state that outlives an execution. */
let executions = 0;

export default defineScenario({
  name: 'faults',
  vcpus: 2,
  words: { counter: 0 },
  args: { faults: ['none', 'none'] },
  guest(vcpu) {
    vcpu.words.counter.add(1);
    misbehave(vcpu, vcpu.domain.args.faults[vcpu.id]);
    vcpu.words.counter.add(1);
    vcpu.cover(`vCPU ${vcpu.id} returned`);
    return vcpu.words.counter.load();
  },
});

function misbehave(vcpu: Vcpu, fault: string): void {
  switch (fault) {
    case 'compute':
      for (;;);
    case 'exit':
      process.exit(3);
      break;
    case 'remember':
      executions++;
      vcpu.words.counter.add(executions);
      break;
    case 'assert':
      vcpu.assert(false, 'meant to fail');
      break;
    case 'swallow':
      for (;;) {
        try {
          vcpu.words.counter.add(1);
        } catch {}
      }
    case 'fail-and-swallow':
      for (;;) {
        try {
          vcpu.assert(false, 'meant to fail');
        } catch {}
      }
    default:
  }
}
